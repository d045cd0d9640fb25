// The frame of a sheet: a dialog that rises from below on a phone and stands in
// the middle elsewhere.

import { button, el, icon } from './dom.js';

/** Opens a sheet. `aside` stands at the top beside the cross, `head` above the title. */
export function sheet(title, { testid, head = null, aside = null }, ...content) {
  const heading = el('h2', { id: 'sheet-title' }, title);
  const box = el('dialog', { class: 'sheet', 'aria-labelledby': 'sheet-title', 'data-testid': testid },
    el('div', { class: 'sheet-top' },
      button({ class: 'icon-button', 'aria-label': 'Close', on: { click: () => box.close() } }, icon('close')), aside),
    head, heading, ...content);
  box.addEventListener('close', () => box.remove());
  // A press on the ground beside the sheet closes it.
  box.addEventListener('pointerdown', (event) => {
    if (event.target === box) box.close();
  });
  for (const other of document.querySelectorAll('dialog.sheet')) other.close();
  document.body.append(box);
  box.showModal();
  return box;
}

/** One line of the facts in a sheet. */
export function row(name, ...value) {
  return el('div', { class: 'fact' }, el('dt', {}, name), el('dd', {}, ...value));
}

/** The wide key at a sheet's end, which can be busy. */
export function confirmation(work, props = {}) {
  const label = el('span', { class: 'confirm-label' });
  const node = button({ ...props, class: `confirm ${props.class ?? ''}`.trim(), on: { click: () => node.getAttribute('aria-busy') !== 'true' && work() } }, label);
  let words = [];
  return {
    node,
    label(...content) {
      words = content;
      if (node.getAttribute('aria-busy') !== 'true') label.replaceChildren(...content);
    },
    busy(text) {
      node.setAttribute('aria-busy', 'true');
      label.replaceChildren(text);
    },
    /** Says that the work is done; nothing more can be pressed. */
    done(...content) {
      node.setAttribute('aria-busy', 'true');
      label.replaceChildren(...content);
      node.disabled = true;
    },
    ready() {
      node.removeAttribute('aria-busy');
      label.replaceChildren(...words);
    },
  };
}
