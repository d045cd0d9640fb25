// Where the person writes: the input, the bot's commands, the reply keyboard,
// and START before the first message.

import { createTray } from './attach.js';
import { button, el, icon } from './dom.js';
import { textOf } from './bubble.js';
import { createInline } from './inline.js';
import { toast } from './notices.js';

const MAX_TEXT = 4096;      // UTF-16 units in a message
const COUNT_FROM = 3600;    // from where the counter shows
const LINES_SHOWN = 9;

export function createComposer(store, act) {
  const { state } = store;
  const slot = document.getElementById('composer-slot');
  let context = null; // {kind: 'reply' | 'edit', message, quote?: {text, at}, forced?: asked for by the bot}
  let chosen = -1;
  let keysShown = true;

  const input = el('textarea', {
    class: 'input', rows: '1', 'aria-label': 'Message', placeholder: 'Message', autocomplete: 'off', enterkeyhint: 'send',
    'data-testid': 'composer', 'aria-autocomplete': 'list', 'aria-controls': 'commands',
  });
  const count = el('span', { class: 'count', 'aria-live': 'polite' });
  const menu = button({ class: 'menu-button', 'data-testid': 'menu-button', on: { click: onMenu } });
  // Where the menu button opens an app, the commands have a button of their own.
  const slash = button({ class: 'icon-button', 'aria-label': 'The bot’s commands', 'data-testid': 'slash-button', on: { click: toggleCommands } }, icon('slash'));
  const keysToggle = button({ class: 'icon-button', 'aria-label': 'Show or hide the bot’s keyboard', on: { click: toggleKeys } }, icon('keys'));
  const sendButton = button({ class: 'send', 'aria-label': 'Send', 'data-testid': 'send', on: { click: submit } }, icon('send'));
  const list = el('div', { class: 'commands', id: 'commands', role: 'listbox', 'aria-label': 'Commands', 'data-testid': 'command-list', hidden: true });
  const aside = el('div', { class: 'context', hidden: true });
  const keys = el('div', { class: 'reply-keyboard', 'data-testid': 'reply-keyboard', hidden: true });
  const tray = createTray({ changed: renderInput, complain: (text) => toast(text, 'error') });
  const inline = createInline(store, act, () => write(''));
  const row = el('div', { class: 'composer' },
    el('div', { class: 'composer-card' }, list, inline.list, aside, tray.tray,
      el('div', { class: 'composer-row' }, menu, input, count, slash, keysToggle, tray.clip, tray.chooser)), sendButton);
  const startButton = button({ class: 'start', 'data-testid': 'start', on: { click: () => act.start(startButton) } }, 'Start');

  function render() {
    const open = state.started && !state.blocked;
    startButton.textContent = state.blocked ? 'Unblock' : 'Start';
    startButton.disabled = !state.user;
    const wanted = open ? [row, keys] : [startButton];
    if (wanted.some((node) => node.parentElement !== slot)) {
      slot.replaceChildren(...wanted);
      if (open && matchMedia('(hover: hover)').matches) input.focus();
    }
    renderMenu();
    renderKeys();
    renderInput();
  }

  function renderMenu() {
    const app = state.menuButton.type === 'web_app';
    menu.hidden = !app && state.commands.length === 0;
    slash.hidden = !app || state.commands.length === 0;
    slash.setAttribute('aria-expanded', String(!list.hidden));
    menu.replaceChildren(icon(app ? 'app' : list.hidden ? 'menu' : 'close'), el('span', {}, app ? state.menuButton.text : 'Menu'));
    menu.setAttribute('aria-label', app ? state.menuButton.text : 'The bot’s commands');
    if (app) menu.removeAttribute('aria-expanded');
    else menu.setAttribute('aria-expanded', String(!list.hidden));
  }

  function renderKeys() {
    const rows = state.keyboard?.keyboard ?? [];
    keysToggle.hidden = rows.length === 0;
    keysToggle.setAttribute('aria-expanded', String(keysShown));
    keys.hidden = rows.length === 0 || !keysShown;
    keys.replaceChildren(...rows.map((line) => el('div', { class: 'row' }, line.map((key) => replyKey(key)))));
    input.placeholder = state.keyboard?.input_field_placeholder || 'Message';
  }

  function replyKey(key) {
    const text = typeof key === 'string' ? key : key.text;
    const press = () => {
      if (key.web_app?.url) return act.app(key.web_app.url, 'keyboard');
      if (state.keyboard?.one_time_keyboard) toggleKeys();
      return act.send(text);
    };
    return button({ class: 'reply-key', on: { click: press } }, text);
  }

  function toggleKeys() {
    keysShown = !keysShown;
    renderKeys();
  }

  function renderInput() {
    input.style.height = 'auto';
    const line = parseFloat(getComputedStyle(input).lineHeight) || 22;
    input.style.height = `${Math.min(input.scrollHeight, line * LINES_SHOWN + 22)}px`;
    const length = input.value.length;
    count.textContent = length > COUNT_FROM ? String(MAX_TEXT - length) : '';
    count.classList.toggle('over', length > MAX_TEXT);
    sendButton.disabled = input.value.trim() === '' && tray.files().length === 0;
  }

  // The commands that begin as what is typed, or the bot where its name is begun.
  function matches() {
    const bot = state.bot?.username;
    const named = /^@(\w*)$/.exec(input.value);
    if (named && bot?.toLowerCase().startsWith(named[1].toLowerCase())) return [{ mention: `@${bot}`, description: 'Ask here, and choose whether to send the answer' }];
    const typed = /^\/([a-z0-9_]*)$/i.exec(input.value);
    if (!typed) return [];
    return state.commands.filter((c) => c.command.startsWith(typed[1].toLowerCase()));
  }

  function showCommands(commands) {
    chosen = commands.length ? 0 : -1;
    list.hidden = commands.length === 0;
    list.replaceChildren(...commands.map((c, i) => el('div', {
      class: 'command', role: 'option', id: `command-${i}`, 'data-testid': c.mention ? 'mention-item' : 'command-item', 'data-command': c.command,
      on: {
        // The input keeps its focus, so that the keyboard goes on working.
        pointerdown: (event) => event.preventDefault(),
        pointermove: () => chosen !== i && choose(i),
        click: () => run(c),
      },
    }, el('span', { class: 'command-name' }, c.mention ?? `/${c.command}`), el('span', { class: 'command-text' }, c.description))));
    choose(chosen);
    renderMenu();
  }

  function choose(index) {
    chosen = index;
    [...list.children].forEach((node, i) => node.setAttribute('aria-selected', String(i === index)));
    if (index >= 0) {
      input.setAttribute('aria-activedescendant', `command-${index}`);
      list.children[index].scrollIntoView({ block: 'nearest' });
    } else {
      input.removeAttribute('aria-activedescendant');
    }
  }

  function run(command) {
    write(command.mention ? `${command.mention} ` : '');
    if (!command.mention) act.command(`/${command.command}`);
  }

  /** Puts a text into the input in place of what is there. */
  function write(text) {
    input.value = text;
    showCommands([]);
    renderInput();
    inline.update(text);
    input.focus();
  }

  function onMenu() {
    if (state.menuButton.type === 'web_app') return act.app(state.menuButton.web_app?.url, 'menu');
    return toggleCommands();
  }

  function toggleCommands() {
    showCommands(list.hidden ? state.commands : []);
    input.focus();
  }

  function setContext(next) {
    context = next;
    aside.hidden = !next;
    if (!next) return;
    const editing = next.kind === 'edit';
    aside.replaceChildren(
      icon(editing ? 'edit' : 'reply'),
      el('div', { class: 'context-text' },
        el('strong', { dir: 'auto' }, editing ? 'Edit message' : `${next.quote ? 'Quote' : 'Reply to'} ${next.message.from?.first_name ?? 'message'}`),
        el('span', { dir: 'auto', 'data-testid': 'context-text' }, next.quote?.text ?? textOf(next.message))),
      button({ class: 'icon-button', 'data-testid': 'context-close', 'aria-label': editing ? 'Stop editing' : 'Do not reply', on: { click: () => leaveContext() } }, icon('close')));
    if (editing) input.value = textOf(next.message);
    input.focus();
    renderInput();
  }

  function leaveContext() {
    if (context?.kind === 'edit') input.value = '';
    const { forced } = context ?? {};
    setContext(null);
    if (forced) store.dismissKeyboard();
    renderInput();
    input.focus();
  }

  // A bot that asks for words has the reply to it begun.
  function followForce() {
    const asks = state.keyboard?.force_reply ? state.messages.find((m) => m.message_id === state.keyboardOf) : undefined;
    if (asks && !context && store.shown(asks)) setContext({ kind: 'reply', message: asks, forced: true });
    if (!asks && context?.forced) setContext(null);
  }

  async function submit() {
    const text = input.value.trim();
    if (!text && tray.files().length === 0) return;
    const was = context;
    const files = was?.kind === 'edit' ? [] : tray.take();
    setContext(null);
    write('');
    const sent = was?.kind === 'edit'
      ? await act.edit(was.message, text)
      : await act.send(text, answersOf(was), files);
    if (!sent && files.length > 0) tray.giveBack(files);
    if (!sent && input.value === '') {
      input.value = text;
      setContext(was);
      renderInput();
    }
  }

  input.addEventListener('input', () => {
    showCommands(matches());
    renderInput();
    if (context?.kind !== 'edit') inline.update(input.value);
  });
  input.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const open = !list.hidden && list.childElementCount > 0;
    const take = (fn) => {
      event.preventDefault();
      fn();
    };
    if (inline.key(event)) event.preventDefault();
    else if (open && event.key === 'ArrowDown') take(() => choose((chosen + 1) % list.childElementCount));
    else if (open && event.key === 'ArrowUp') take(() => choose((chosen - 1 + list.childElementCount) % list.childElementCount));
    else if (open && event.key === 'Tab' && !event.shiftKey) {
      take(() => {
        const { command } = list.children[chosen].dataset;
        write(command ? `/${command} ` : `@${state.bot.username} `);
      });
    } else if (event.key === 'Escape') {
      if (open) take(() => showCommands([]));
      else if (context) take(leaveContext);
    } else if (event.key === 'Enter' && !event.shiftKey) {
      take(() => (open ? list.children[chosen].click() : submit()));
    } else if (event.key === 'ArrowUp' && input.value === '') {
      const last = state.messages.findLast((m) => m.from?.id === state.user.id && m.text && !m.via_bot && store.shown(m));
      if (last) take(() => setContext({ kind: 'edit', message: last }));
    }
  });
  input.addEventListener('paste', (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    tray.add(event.clipboardData.files);
  });
  document.addEventListener('pointerdown', (event) => {
    if (!list.hidden && !row.contains(event.target)) showCommands([]);
  });
  // Typing anywhere goes into the message, as in a chat program.
  document.addEventListener('keydown', (event) => {
    const plainKey = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && event.key !== ' ';
    if (plainKey && document.activeElement === document.body && row.isConnected) input.focus();
  });

  store.on('composer', () => {
    keysShown = true;
    render();
    followForce();
  });
  store.on('thread', () => {
    setContext(null);
    followForce();
  });
  store.on('reset', () => {
    setContext(null);
    showCommands([]);
    keysShown = true;
    render();
    followForce();
  });
  render();
  return {
    reply: (message, quote) => setContext({ kind: 'reply', message, quote }),
    edit: (message) => setContext({ kind: 'edit', message }),
    write,
  };
}

/** What POST /sim/send takes of the reply that is begun. */
const answersOf = (context) => (context
  ? { reply_to: context.message.message_id, quote: context.quote?.text, quote_at: context.quote?.at }
  : null);
