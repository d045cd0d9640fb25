// What is said beside the chat: toasts, alert boxes, the copy fallback.

import { button, el } from './dom.js';

const TOAST_MS = 4000;
const MAX_TOASTS = 3;

/** Shows a sentence for a few seconds. */
export function toast(text, kind = 'info') {
  const box = document.getElementById('toasts');
  const note = el('p', { class: 'toast', 'data-kind': kind, 'data-testid': 'toast' }, text);
  while (box.childElementCount >= MAX_TOASTS) box.firstElementChild.remove();
  box.append(note);
  setTimeout(() => note.remove(), TOAST_MS);
}

/** Shows a box that waits to be closed. */
export function alertBox(title, ...content) {
  const close = button({ class: 'primary', on: { click: () => box.close() } }, 'OK');
  const box = el('dialog', { class: 'box', 'aria-label': title, 'data-testid': 'alert' },
    el('h2', {}, title), ...content, el('div', { class: 'box-actions' }, close));
  box.addEventListener('close', () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

/** Copies to the clipboard, or offers the text selected where that is refused. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied to the clipboard.');
  } catch {
    const field = el('textarea', { class: 'field', readonly: true, rows: '3', 'aria-label': 'Text to copy', 'data-testid': 'copy-field' });
    field.value = text;
    alertBox('Copy this text', el('p', {}, 'The browser keeps the clipboard closed here. The text is selected: copy it with your keyboard.'), field);
    field.focus();
    field.select();
  }
}
