// The box that a Mini App asks for: a few words and up to three buttons.

import { button, el } from './dom.js';

const MOST_BUTTONS = 3;
const WORDS = { ok: 'OK', close: 'Close', cancel: 'Cancel' };

/** Shows it; resolves to the id of the button that was pressed, null where it was closed otherwise. */
export function popup({ title = '', message = '', buttons = [] }) {
  return new Promise((resolve) => {
    let pressed = null;
    const keys = buttons.slice(0, MOST_BUTTONS).map(({ id = '', type = 'default', text }) => button({
      class: `primary ${type === 'destructive' ? 'danger' : ''}`.trim(), 'data-testid': 'popup-button', 'data-button': id,
      on: {
        click: () => {
          pressed = String(id);
          box.close();
        },
      },
    }, WORDS[type] ?? String(text ?? 'OK')));
    const box = el('dialog', { class: 'box popup', 'aria-label': String(title || message), 'data-testid': 'popup' },
      title ? el('h2', { dir: 'auto' }, String(title)) : null, el('p', { dir: 'auto' }, String(message)), el('div', { class: 'box-actions' }, keys));
    box.addEventListener('close', () => {
      box.remove();
      resolve(pressed);
    });
    document.body.append(box);
    box.showModal();
  });
}
