// One message as an element.

import { button, el, icon } from './dom.js';
import { renderText, safeLink } from './entities.js';
import { invoiceCard, isService, serviceLine } from './invoice.js';
import { payLabel, paymentText } from './stars.js';

const CALLBACK_WAIT_MS = 10000; // a pressed button spins at most so long

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** The text of a message that has one, or what stands for its kind. */
export function textOf(message) {
  if (isService(message)) return paymentText(message, message.from?.is_bot ? message.from.first_name : 'the bot', null);
  if (message.invoice) return message.invoice.title;
  return message.text ?? message.caption ?? 'This kind of message is not shown here.';
}

/**
 * Builds a message. `act` has command, copy, press(message, data), open(address),
 * jump(messageId), menu(message, anchor), pay(message) and receipt(charge); the
 * facts are {own, read, bot, payments}.
 */
export function bubble(message, facts, act) {
  const own = facts.own && !isService(message);
  const article = el('article', {
    class: `message ${isService(message) ? 'service' : own ? 'out' : 'in'}`,
    'data-testid': 'message',
    'data-from': isService(message) ? 'service' : own ? 'user' : 'bot',
    'data-message-id': message.message_id,
  });
  fill(article, message, facts, act);
  return article;
}

/** Fills a message's element, anew when the message was edited. */
export function fill(article, message, { own, read, bot, payments }, act) {
  if (isService(message)) {
    article.replaceChildren(serviceLine(message, bot, payments, act));
    return;
  }
  const body = el('div', { class: 'bubble' },
    el('span', { class: 'sr-only' }, own ? 'You: ' : `${message.from?.first_name ?? 'Bot'}: `),
    message.reply_to_message && quotation(message.reply_to_message, act),
    el('div', { class: 'body' },
      message.invoice ? invoiceCard(message, payments) : textElement(textOf(message), message.entities ?? message.caption_entities, act),
      meta(message, own, read)),
    button({
      class: 'message-menu icon-button', 'aria-label': 'What to do with this message', 'aria-haspopup': 'menu',
      on: { click: (event) => act.menu(message, event.currentTarget) },
    }, icon('more')));
  const rows = message.reply_markup?.inline_keyboard;
  article.replaceChildren(el('div', { class: 'stack' }, body, rows?.length ? inlineKeyboard(message, rows, act) : null));
}

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

function quotation(message, act) {
  return button({ class: 'quotation', on: { click: () => act.jump(message.message_id) } },
    el('strong', {}, message.from?.first_name ?? 'Message'),
    el('span', { class: 'quoted' }, textOf(message)));
}

function inlineKeyboard(message, rows, act) {
  return el('div', { class: 'inline-keyboard', 'data-testid': 'inline-keyboard' },
    rows.map((row) => el('div', { class: 'row' }, row.map((key) => inlineButton(message, key, act)))));
}

function inlineButton(message, key, act) {
  const label = el('span', { class: 'key-label' }, key.text);
  const node = button({ class: 'key', 'data-testid': 'inline-button' }, label);
  const mark = (name, kind) => {
    node.append(icon(name));
    node.dataset.kind = kind;
  };
  if (key.url || key.web_app?.url) {
    mark(key.url ? 'out' : 'app', key.url ? 'url' : 'web_app');
    node.addEventListener('click', () => act.open(key.url ?? key.web_app.url));
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
