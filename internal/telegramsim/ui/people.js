// The small menu of who is chatting.

import { button, el, icon, paintAvatar, tiePanel } from './dom.js';
import { digits, star } from './stars.js';

export function createPeople(store, act) {
  const { state } = store;
  const place = document.getElementById('people');
  const face = el('span', { class: 'avatar small', 'aria-hidden': 'true' });
  const name = el('span', { class: 'people-name' });
  const opener = button({ class: 'people-button', 'data-testid': 'user-menu' }, face, name, icon('down'));
  const panel = el('div', { class: 'panel', 'data-testid': 'user-panel' });
  const { close } = tiePanel(opener, panel, { onOpen: render });
  place.append(opener, panel);

  function render() {
    const me = state.user;
    opener.hidden = !me;
    if (!me) return;
    paintAvatar(face, me);
    name.textContent = me.first_name;
    opener.setAttribute('aria-label', `Chatting as ${me.first_name}. Change person`);
    if (panel.hidden) return;
    panel.replaceChildren(
      el('p', { class: 'panel-title' }, 'Chatting as'),
      ...state.users.map((user) => person(user, user.id === me.id)),
      addForm(),
      el('hr', {}),
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
  }

  function person(user, current) {
    return button({
      class: 'panel-item', 'data-testid': 'user-item', 'aria-current': current ? 'true' : null,
      on: {
        click: () => {
          close();
          if (!current) act.become(user.id);
        },
      },
    }, paintAvatar(el('span', { class: 'avatar small', 'aria-hidden': 'true' }), user), el('span', { class: 'grow' }, user.first_name), current ? icon('check') : '');
  }

  function addForm() {
    const field = el('input', { class: 'field', placeholder: 'Add a person…', 'aria-label': 'Name of the person to add', maxlength: '64', 'data-testid': 'user-name' });
    const submit = () => {
      const wanted = field.value.trim();
      if (!wanted) return;
      close();
      act.addPerson(wanted);
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') submit();
    });
    return el('div', { class: 'panel-form' }, field,
      button({ class: 'icon-button', 'aria-label': 'Add this person', on: { click: submit } }, icon('add')));
  }

  store.on('people reset composer stars', render);
  render();
}
