// One message as an element.

import { button, el, icon, paintAvatar, tintOf } from './dom.js';
import { renderText, safeLink } from './entities.js';
import { chatLine, invoiceCard, isService, serviceLine } from './invoice.js';
import { album } from './album.js';
import { media, mediaWord } from './media.js';
import { richElement } from './rich.js';
import { payLabel, paymentText } from './stars.js';

const CALLBACK_WAIT_MS = 10000; // a pressed button spins at most so long

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** The text of a message that has one, or what stands for its kind. */
export function textOf(message) {
  if (chatLine(message)) return chatLine(message);
  if (isService(message)) return paymentText(message, message.from?.is_bot ? message.from.first_name : 'the bot', null);
  if (message.invoice) return message.invoice.title;
  if (message.rich_message) return (message.rich_message.html ?? '').replaceAll(/<[^>]*>/g, '');
  return message.text || message.caption || (mediaWord(message) || 'This kind of message is not shown here.');
}

/**
 * Builds a message. `act` has command, copy, press(message, data), open(address),
 * jump(messageId), menu(message, anchor), pay(message) and receipt(charge); the
 * facts are {own, read, bot, payments, group}.
 */
export function bubble(message, facts, act) {
  const own = facts.own && !isService(message);
  const article = el('article', {
    class: `message ${isService(message) ? 'service' : own ? 'out' : 'in'}`,
    'data-testid': 'message',
    'data-from': isService(message) ? 'service' : own ? 'user' : message.from?.is_bot ? 'bot' : 'person',
    'data-message-id': message.message_id,
  });
  fill(article, message, facts, act);
  return article;
}

/** Fills a message's element, anew when the message was edited. */
export function fill(article, message, { own, read, bot, payments, group, together = [message] }, act) {
  if (isService(message)) {
    article.replaceChildren(serviceLine(message, bot, payments, act));
    return;
  }
  const said = together.find((m) => m.caption) ?? message; // of an album: its words are one message's
  const pictures = together.some((m) => m.photo || m.video || m.animation) && (together.length === 1 || !message.document);
  const body = el('div', { class: `bubble ${pictures ? 'pictures' : ''} ${pictures && !said.caption ? 'bare' : ''}`.trim() },
    el('span', { class: 'sr-only' }, own ? 'You: ' : `${message.from?.first_name ?? 'Bot'}: `),
    group && !own && el('span', { class: 'sender', dir: 'auto', 'data-testid': 'sender', 'data-tint': tintOf(speaker(message)) }, speaker(message).first_name),
    message.via_bot && el('span', { class: 'via', 'data-testid': 'via' }, `via @${message.via_bot.username}`),
    message.forward_origin && el('span', { class: 'forwarded', dir: 'auto' }, `Forwarded from ${originOf(message.forward_origin)}`),
    message.reply_to_message && quotation(message.reply_to_message, message.quote, act),
    el('div', { class: 'body' }, ...(together.length > 1 ? albumOf(together, said, act) : contentOf(message, payments, act)), meta(message, own, read)),
    button({
      class: 'message-menu icon-button', 'aria-label': 'What to do with this message', 'aria-haspopup': 'menu',
      on: { click: (event) => act.menu(message, event.currentTarget) },
    }, icon('more')));
  const rows = message.reply_markup?.inline_keyboard;
  const stack = el('div', { class: 'stack' }, body, rows?.length ? inlineKeyboard(message, rows, act) : null);
  const face = group && !own ? [paintAvatar(el('span', { class: 'avatar face', 'aria-hidden': 'true' }), speaker(message))] : [];
  article.replaceChildren(...face, stack);
}

// Who says something in a group: somebody, or the group itself.
const speaker = (message) => message.from ?? { id: message.chat.id, first_name: message.chat.title ?? 'Group' };

// What a message says: its invoice, or what it carries with a caption above or below, or its text.
function contentOf(message, payments, act) {
  if (message.invoice) return [invoiceCard(message, payments)];
  if (message.rich_message) return [richElement(message.rich_message)];
  const carried = media(message);
  if (!carried) return [words(message, textOf(message), message.entities, act)];
  return withCaption(message, carried, act);
}

function withCaption(message, carried, act) {
  if (!message.caption) return [carried];
  const caption = words(message, message.caption, message.caption_entities, act);
  return message.show_caption_above_media ? [caption, carried] : [carried, caption];
}

// Pictures share a caption; files have each its own.
function albumOf(together, said, act) {
  if (together[0].photo || together[0].video) return withCaption(said, album(together), act);
  return together.flatMap((m) => [el('div', { class: 'album-file', 'data-message-id': m.message_id }, withCaption(m, media(m), act))]);
}

// The words of a message, of which parts can be quoted.
function words(message, text, entities, act) {
  const node = textElement(text, entities, act);
  if (message.text || message.caption) node.dataset.of = message.message_id;
  return node;
}

const originOf = (origin) => origin.sender_user?.first_name ?? origin.sender_user_name ?? origin.sender_chat?.title ?? origin.chat?.title ?? 'somebody';

/** The text part alone, which a draft uses too. */
export function textElement(text, entities, act) {
  const node = el('div', { class: 'text', dir: 'auto', 'data-testid': 'message-text' });
  node.append(renderText(text, entities, act));
  return node;
}

/** Shows whether the bot has taken the message. */
export function markRead(article, read) {
  const ticks = article.querySelector('.ticks');
  if (!ticks || ticks.dataset.read === String(read)) return;
  ticks.dataset.read = String(read);
  ticks.replaceChildren(icon(read ? 'checks' : 'check'), el('span', { class: 'sr-only' }, read ? 'taken by the bot' : 'sent'));
}

function meta(message, own, read) {
  const when = new Date(message.date * 1000);
  const node = el('span', { class: 'meta' },
    message.edit_date ? el('span', {}, 'edited ') : null,
    el('time', { datetime: when.toISOString(), title: full.format(when) }, clock.format(when)));
  if (own) {
    node.append(el('span', { class: 'ticks' }));
    markRead(node, read);
  }
  return node;
}

function quotation(message, quote, act) {
  return button({ class: 'quotation', on: { click: () => act.jump(message.message_id) } },
    el('strong', {}, message.from?.first_name ?? 'Message'),
    el('span', { class: 'quoted', dir: 'auto' }, quote?.text ?? textOf(message)));
}

function inlineKeyboard(message, rows, act) {
  return el('div', { class: 'inline-keyboard', 'data-testid': 'inline-keyboard' },
    rows.map((row) => el('div', { class: 'row' }, row.map((key) => inlineButton(message, key, act)))));
}

function inlineButton(message, key, act) {
  const label = el('span', { class: 'key-label', dir: 'auto' }, key.text);
  const node = button({ class: 'key', 'data-testid': 'inline-button' }, label);
  const mark = (name, kind) => {
    node.append(icon(name));
    node.dataset.kind = kind;
  };
  if (key.url || key.web_app?.url) {
    mark(key.url ? 'out' : 'app', key.url ? 'url' : 'web_app');
    node.addEventListener('click', () => (key.url ? act.open(key.url) : act.app(key.web_app.url, 'inline')));
    node.title = safeLink(key.url ?? key.web_app.url) ?? '';
  } else if (key.copy_text) {
    mark('copy', 'copy_text');
    node.addEventListener('click', () => act.copy(key.copy_text.text));
  } else if (key.pay) {
    node.dataset.kind = 'pay';
    label.replaceChildren(...payLabel(key.text));
    node.setAttribute('aria-haspopup', 'dialog');
    node.addEventListener('click', () => act.pay(message));
  } else if (key.callback_data !== undefined) {
    node.dataset.kind = 'callback';
    node.addEventListener('click', () => press(node, message, key.callback_data, act));
  } else {
    node.disabled = true;
    node.title = 'The simulator does not know this kind of button.';
  }
  return node;
}

// A pressed button waits for the bot's answer, as the person does.
async function press(node, message, data, act) {
  if (node.getAttribute('aria-busy') === 'true') return;
  node.setAttribute('aria-busy', 'true');
  const timer = setTimeout(() => done(), CALLBACK_WAIT_MS);
  const done = () => {
    clearTimeout(timer);
    node.removeAttribute('aria-busy');
  };
  await act.press(message, data, done);
}
