// Where the person writes: the input, the bot's commands, the reply keyboard,
// and START before the first message.

import { button, el, icon } from './dom.js';
import { textOf } from './bubble.js';

const MAX_TEXT = 4096;      // UTF-16 units in a message
const COUNT_FROM = 3600;    // from where the counter shows
const LINES_SHOWN = 9;

export function createComposer(store, act) {
  const { state } = store;
  const slot = document.getElementById('composer-slot');
  let context = null; // {kind: 'reply' | 'edit', message}
  let chosen = -1;
  let keysShown = true;

  const input = el('textarea', {
    class: 'input', rows: '1', 'aria-label': 'Message', placeholder: 'Message', autocomplete: 'off', enterkeyhint: 'send',
    'data-testid': 'composer', 'aria-autocomplete': 'list', 'aria-controls': 'commands',
  });
  const count = el('span', { class: 'count', 'aria-live': 'polite' });
  const menu = button({ class: 'menu-button', 'data-testid': 'menu-button', on: { click: onMenu } });
  const keysToggle = button({ class: 'icon-button', 'aria-label': 'Show or hide the bot’s keyboard', on: { click: toggleKeys } }, icon('keys'));
  const sendButton = button({ class: 'send', 'aria-label': 'Send', 'data-testid': 'send', on: { click: submit } }, icon('send'));
  const list = el('div', { class: 'commands', id: 'commands', role: 'listbox', 'aria-label': 'Commands', 'data-testid': 'command-list', hidden: true });
  const aside = el('div', { class: 'context', hidden: true });
  const keys = el('div', { class: 'reply-keyboard', 'data-testid': 'reply-keyboard', hidden: true });
  const row = el('div', { class: 'composer' },
    el('div', { class: 'composer-card' }, list, aside, el('div', { class: 'composer-row' }, menu, input, count, keysToggle)), sendButton);
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
      if (key.web_app?.url) return act.open(key.web_app.url);
      if (state.keyboard?.one_time_keyboard) toggleKeys();
      return act.send(text, null);
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
    sendButton.disabled = input.value.trim() === '';
  }

  function matches() {
    const typed = /^\/([a-z0-9_]*)$/i.exec(input.value);
    if (!typed) return [];
    return state.commands.filter((c) => c.command.startsWith(typed[1].toLowerCase()));
  }

  function showCommands(commands) {
    chosen = commands.length ? 0 : -1;
    list.hidden = commands.length === 0;
    list.replaceChildren(...commands.map((c, i) => el('div', {
      class: 'command', role: 'option', id: `command-${i}`, 'data-testid': 'command-item', 'data-command': c.command,
      on: {
        // The input keeps its focus, so that the keyboard goes on working.
        pointerdown: (event) => event.preventDefault(),
        pointermove: () => chosen !== i && choose(i),
        click: () => run(c),
      },
    }, el('span', { class: 'command-name' }, `/${c.command}`), el('span', { class: 'command-text' }, c.description))));
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
    input.value = '';
    showCommands([]);
    renderInput();
    act.send(`/${command.command}`, null);
  }

  function onMenu() {
    if (state.menuButton.type === 'web_app') return act.open(state.menuButton.web_app?.url);
    showCommands(list.hidden ? state.commands : []);
    input.focus();
    return undefined;
  }

  function setContext(next) {
    context = next;
    aside.hidden = !next;
    if (!next) return;
    const editing = next.kind === 'edit';
    aside.replaceChildren(
      icon(editing ? 'edit' : 'reply'),
      el('div', { class: 'context-text' },
        el('strong', {}, editing ? 'Edit message' : `Reply to ${next.message.from?.first_name ?? 'message'}`),
        el('span', {}, textOf(next.message))),
      button({ class: 'icon-button', 'aria-label': editing ? 'Stop editing' : 'Do not reply', on: { click: () => leaveContext() } }, icon('close')));
    if (editing) input.value = textOf(next.message);
    input.focus();
    renderInput();
  }

  function leaveContext() {
    if (context?.kind === 'edit') input.value = '';
    setContext(null);
    renderInput();
    input.focus();
  }

  async function submit() {
    const text = input.value.trim();
    if (!text) return;
    const was = context;
    input.value = '';
    setContext(null);
    showCommands([]);
    renderInput();
    input.focus();
    const sent = was?.kind === 'edit'
      ? await act.edit(was.message, text)
      : await act.send(text, was?.message.message_id ?? null);
    if (!sent && input.value === '') {
      input.value = text;
      setContext(was);
      renderInput();
    }
  }

  input.addEventListener('input', () => {
    showCommands(matches());
    renderInput();
  });
  input.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const open = !list.hidden && list.childElementCount > 0;
    const take = (fn) => {
      event.preventDefault();
      fn();
    };
    if (open && event.key === 'ArrowDown') take(() => choose((chosen + 1) % list.childElementCount));
    else if (open && event.key === 'ArrowUp') take(() => choose((chosen - 1 + list.childElementCount) % list.childElementCount));
    else if (open && event.key === 'Tab' && !event.shiftKey) {
      take(() => {
        input.value = `/${list.children[chosen].dataset.command} `;
        showCommands([]);
        renderInput();
      });
    } else if (event.key === 'Escape') {
      if (open) take(() => showCommands([]));
      else if (context) take(leaveContext);
    } else if (event.key === 'Enter' && !event.shiftKey) {
      take(() => (open ? list.children[chosen].click() : submit()));
    } else if (event.key === 'ArrowUp' && input.value === '') {
      const last = state.messages.findLast((m) => !m.from?.is_bot && m.text);
      if (last) take(() => setContext({ kind: 'edit', message: last }));
    }
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
  });
  store.on('reset', () => {
    setContext(null);
    showCommands([]);
    keysShown = true;
    render();
  });
  render();
  return { reply: (message) => setContext({ kind: 'reply', message }), edit: (message) => setContext({ kind: 'edit', message }) };
}
