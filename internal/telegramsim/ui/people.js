// The small menu of who is chatting.

import { button, el, icon, paintAvatar, tiePanel } from './dom.js';
import { groupItems } from './groups.js';
import { digits, star } from './stars.js';

export function createPeople(store, act) {
  const { state } = store;
  const place = document.getElementById('people');
  const face = el('span', { class: 'avatar small', 'aria-hidden': 'true' });
  const name = el('span', { class: 'people-name' });
  const opener = button({ class: 'people-button', 'data-testid': 'user-menu' }, face, name, icon('down'));
  const panel = el('div', { class: 'panel', 'data-testid': 'user-panel' });
  const fields = new Map(); // what is typed while the panel is drawn anew
  const { close } = tiePanel(opener, panel, { onOpen: opened });
  place.append(opener, panel);

  function render() {
    const me = state.user;
    opener.hidden = !me;
    if (!me) return;
    paintAvatar(face, me);
    name.textContent = me.first_name;
    opener.setAttribute('aria-label', `Chatting as ${me.first_name}. Change person`);
    if (panel.hidden) return;
    const written = panel.contains(document.activeElement) && document.activeElement.matches('input') ? document.activeElement : null;
    const [from, to] = [written?.selectionStart, written?.selectionEnd];
    panel.replaceChildren(
      el('p', { class: 'panel-title' }, 'Chatting as'),
      ...state.users.map((user) => person(user, user.id === me.id)),
      form({ placeholder: 'Add a person…', label: 'Name of the person to add', testid: 'user-name', press: 'Add this person', done: act.addPerson }),
      el('hr', {}),
      ...chats(),
      button({
        class: 'panel-item', 'data-testid': 'wallet-open', 'aria-haspopup': 'dialog',
        on: {
          click: () => {
            close();
            act.wallet();
          },
        },
      }, star('menu'), el('span', { class: 'grow' }, 'My Stars'), el('span', { class: 'wallet-hint', 'data-testid': 'people-stars' }, digits(state.stars))),
      button({
        class: 'panel-item', 'data-testid': 'block',
        on: {
          click: () => {
            close();
            act.block(!state.blocked);
          },
        },
      }, icon('block'), state.blocked ? 'Unblock the bot' : 'Stop and block the bot'));
    if (!written) return;
    const again = panel.querySelector(`input[data-testid="${written.dataset.testid}"]`);
    again?.focus();
    again?.setSelectionRange(from, to);
  }

  function opened() {
    render();
    act.chats();
  }

  // The private chat and the groups of who is chatting, and a field that makes another group of everybody.
  function chats() {
    return [
      el('p', { class: 'panel-title' }, 'Chats'),
      ...state.chats.map((chat) => button({
        class: 'panel-item', 'data-testid': 'chat-item', 'data-chat': chat.id, 'aria-current': chat.id === state.chat.id ? 'true' : null,
        on: {
          click: () => {
            close();
            if (chat.id !== state.chat.id) act.become(state.user.id, chat.type === 'private' ? undefined : chat.id);
          },
        },
      }, icon(chat.type === 'private' ? 'reply' : 'group'), el('span', { class: 'grow', dir: 'auto' }, chat.title ?? state.bot.first_name))),
      form({ placeholder: 'New group with everybody…', label: 'Name of the new group', testid: 'group-name', press: 'Make this group', done: act.addGroup }),
      state.chat.type === 'private' || state.chat.is_forum
        ? form({ placeholder: 'New topic in this chat…', label: 'Name of the new topic', testid: 'topic-name', press: 'Make this topic', done: act.addTopic })
        : null,
      ...groupItems(state, act, close),
      el('hr', {}),
    ].filter(Boolean);
  }

  function person(user, current) {
    return button({
      class: 'panel-item', 'data-testid': 'user-item', 'data-user': user.id, 'aria-current': current ? 'true' : null,
      on: {
        click: () => {
          close();
          if (!current) act.become(user.id, state.members.some((m) => m.id === user.id) ? state.chat.id : undefined);
        },
      },
    }, paintAvatar(el('span', { class: 'avatar small', 'aria-hidden': 'true' }), user), el('span', { class: 'grow' }, user.first_name), current ? icon('check') : '');
  }

  function form({ placeholder, label, testid, press, done }) {
    const field = el('input', { class: 'field', placeholder, 'aria-label': label, maxlength: '64', 'data-testid': testid });
    const typed = fields.get(testid);
    if (typed) field.value = typed;
    field.addEventListener('input', () => fields.set(testid, field.value));
    const submit = () => {
      const wanted = field.value.trim();
      if (!wanted) return;
      fields.delete(testid);
      close();
      done(wanted);
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') submit();
    });
    return el('div', { class: 'panel-form' }, field,
      button({ class: 'icon-button', 'aria-label': press, on: { click: submit } }, icon('add')));
  }

  store.on('people reset composer stars topics message', render);
  render();
}
