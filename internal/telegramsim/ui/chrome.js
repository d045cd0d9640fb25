// What surrounds the messages: the header's status, the banner that says why
// the bot is silent, the page that greets before START, a message's menu.

import { button, el, icon, paintAvatar } from './dom.js';
import { textOf } from './bubble.js';

const PENDING_GRACE_MS = 2500; // a bot may take so long before the banner says so
const MENU_MARGIN = 8;

export function createChrome(store, act) {
  const { state } = store;
  const app = document.getElementById('app');
  const status = document.getElementById('status');
  const banner = document.getElementById('banner');
  const intro = document.getElementById('intro');
  let pendingSince = 0;
  let timer = 0;

  function renderStatus() {
    app.dataset.state = state.connection;
    const typing = state.typingUntil > 0 && state.connection === 'online';
    status.classList.toggle('typing', typing);
    if (state.connection !== 'online') status.textContent = 'connecting…';
    else if (typing) status.replaceChildren('typing', el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i')));
    else status.textContent = whereabouts();
    renderBanner();
  }

  function whereabouts() {
    if (!state.chat || state.chat.type === 'private') return 'bot';
    const count = state.members.length + (state.botGone ? 0 : 1);
    return `${state.chat.type === 'group' ? 'group' : 'supergroup'}, ${count === 1 ? '1 member' : `${count} members`}`;
  }

  function renderBanner() {
    clearTimeout(timer);
    let text = '';
    if (state.connection === 'lost') {
      text = 'The connection to the simulator is lost. Trying again…';
    } else if (state.pending > 0) {
      pendingSince ||= Date.now();
      const wait = pendingSince + PENDING_GRACE_MS - Date.now();
      if (wait > 0) timer = setTimeout(renderBanner, wait);
      else text = pendingText();
    } else {
      pendingSince = 0;
    }
    if (banner.textContent !== text) banner.textContent = text;
    banner.hidden = text === '';
    banner.dataset.kind = state.connection === 'lost' ? 'lost' : 'pending';
  }

  function pendingText() {
    const what = state.pending === 1 ? '1 update waits' : `${state.pending} updates wait`;
    return state.error ? `${what} for the bot: ${state.error}` : `${what} for the bot.`;
  }

  function renderBot() {
    if (!state.bot) return;
    const name = state.chat.title ?? state.bot.first_name;
    document.getElementById('bot-name').textContent = name;
    document.title = `${name}: simulated Telegram`;
    paintAvatar(document.getElementById('bot-avatar'), state.chat.title ? { id: state.chat.id, first_name: name } : state.bot);
  }

  function renderIntro() {
    const shown = Boolean(state.bot) && state.chat?.type === 'private' && state.messages.length === 0 && state.topics.length === 0 && !state.draft;
    intro.hidden = !shown;
    if (!shown) return intro.replaceChildren();
    intro.replaceChildren(
      paintAvatar(el('span', { class: 'avatar large', 'aria-hidden': 'true' }), state.bot),
      el('h2', {}, state.bot.first_name),
      state.bot.username ? el('p', { class: 'handle' }, `@${state.bot.username}`) : '',
      el('p', {}, state.commands.length ? 'Press Start and write, or use a command:' : 'Press Start to begin.'),
      el('ul', {}, state.commands.map((c) => el('li', {}, el('span', { class: 'command-name' }, `/${c.command}`), el('span', { class: 'command-text' }, c.description)))));
    return undefined;
  }

  store.on('status topics message', renderStatus);
  store.on('pending', renderBanner);
  store.on('reset', () => {
    renderBot();
    renderStatus();
  });
  store.on('reset message delete composer draft draft_end', renderIntro);
  return { messageMenu: (message, anchor) => messageMenu(message, anchor, act, message.from?.id === state.user.id) };
}

// One menu at a time, beside the button that asked for it.
function messageMenu(message, anchor, act, own) {
  const items = [
    ['reply', 'Reply', () => act.reply(message)],
    ['copy', 'Copy text', () => act.copy(textOf(message))],
  ];
  if (own && message.text && !message.via_bot) items.push(['edit', 'Edit', () => act.edit(message)]);
  const menu = el('div', { class: 'panel floating', role: 'menu', 'data-testid': 'message-actions' },
    items.map(([name, label, run]) => button({
      class: 'panel-item', role: 'menuitem',
      on: {
        click: () => {
          close();
          run();
        },
      },
    }, icon(name), label)));
  const outside = (event) => {
    if (!menu.contains(event.target)) close();
  };
  const close = () => {
    menu.remove();
    document.removeEventListener('pointerdown', outside);
    anchor.setAttribute('aria-expanded', 'false');
  };
  menu.addEventListener('keydown', (event) => {
    const all = [...menu.children];
    const at = all.indexOf(document.activeElement);
    if (event.key === 'Escape' || event.key === 'Tab') {
      close();
      anchor.focus();
    } else if (event.key === 'ArrowDown') all[(at + 1) % all.length].focus();
    else if (event.key === 'ArrowUp') all[(at - 1 + all.length) % all.length].focus();
    else return;
    event.preventDefault();
  });
  document.body.append(menu);
  const from = anchor.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const top = from.bottom + size.height + MENU_MARGIN > innerHeight ? from.top - size.height : from.bottom;
  menu.style.top = `${Math.max(MENU_MARGIN, top)}px`;
  menu.style.left = `${Math.max(MENU_MARGIN, Math.min(from.right - size.width, innerWidth - size.width - MENU_MARGIN))}px`;
  anchor.setAttribute('aria-expanded', 'true');
  menu.firstElementChild.focus();
  document.addEventListener('pointerdown', outside);
}
