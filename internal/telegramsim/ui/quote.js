// Words marked in a message can be quoted in a reply.

import { button, icon } from './dom.js';

const MOST_UNITS = 1024; // of a quotation
const GAP_PX = 8;

/**
 * Finds what is marked inside one message's text: {node, text, at}, at in UTF-16 units into the message's own
 * text, or null. Only words that stand there so are quoted.
 */
export function markedIn(selection, textOf) {
  if (!selection || selection.rangeCount === 0 || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const around = range.commonAncestorContainer;
  const node = (around.nodeType === 1 ? around : around.parentElement)?.closest('[data-of]');
  if (!node) return null;
  const before = document.createRange();
  before.selectNodeContents(node);
  before.setEnd(range.startContainer, range.startOffset);
  const marked = range.toString();
  const text = marked.trim();
  const at = before.toString().length + marked.length - marked.trimStart().length;
  const whole = textOf(Number(node.dataset.of));
  if (!text || text.length > MOST_UNITS || whole?.slice(at, at + text.length) !== text) return null;
  return { node, text, at };
}

/** Shows a button beside what is marked; `quote` is called with the message and {text, at}. */
export function watchSelection(store, quote) {
  const find = (id) => store.state.messages.find((m) => m.message_id === id);
  const textOf = (id) => find(id)?.text ?? find(id)?.caption;
  let marked = null;
  const pill = button({
    class: 'quote-pill', hidden: true, 'data-testid': 'quote',
    on: {
      pointerdown: (event) => event.preventDefault(), // what is marked stays marked
      click: () => {
        const { node, text, at } = marked;
        getSelection().removeAllRanges();
        quote(find(Number(node.dataset.of)), { text, at });
      },
    },
  }, icon('reply'), 'Quote');
  document.body.append(pill);

  function look() {
    marked = markedIn(getSelection(), textOf);
    pill.hidden = !marked;
    if (!marked) return;
    const box = getSelection().getRangeAt(0).getBoundingClientRect();
    const size = pill.getBoundingClientRect();
    const above = box.top - size.height - GAP_PX;
    pill.style.top = `${above < GAP_PX ? Math.min(box.bottom + GAP_PX, innerHeight - size.height - GAP_PX) : above}px`;
    pill.style.left = `${Math.max(GAP_PX, Math.min(box.left + box.width / 2 - size.width / 2, innerWidth - size.width - GAP_PX))}px`;
  }

  document.addEventListener('selectionchange', look);
  document.getElementById('scroller').addEventListener('scroll', look, { passive: true });
  store.on('reset thread', look);
}
