// The list of messages: days, groups, the streaming draft, and where it stands.

import { bubble, fill, markRead, textElement } from './bubble.js';
import { button, el, icon } from './dom.js';
import { isService } from './invoice.js';

const GROUP_SECONDS = 600;  // messages closer than this stand together
const NEAR_END_PX = 120;    // from the end, within which the list follows it
const FLASH_MS = 1600;

const dayFormat = new Intl.DateTimeFormat(undefined, { month: 'long', day: 'numeric' });
const yearFormat = new Intl.DateTimeFormat(undefined, { month: 'long', day: 'numeric', year: 'numeric' });

export function createMessages(store, act) {
  const { state } = store;
  const scroller = document.getElementById('scroller');
  const log = document.getElementById('log');
  const slot = document.getElementById('draft-slot');
  const older = document.getElementById('older');
  const toEnd = document.getElementById('to-end');
  const nodes = new Map();
  let unread = 0;
  let following = true;
  let draftNode = null;

  const isOwn = (m) => !m.from?.is_bot;
  const facts = (m) => ({ own: isOwn(m), read: m.message_id <= state.readUpTo, bot: state.bot.first_name, payments: state.payments });
  const actions = { ...act, jump };

  function renderAll() {
    nodes.clear();
    // A whole chat read aloud at once would help nobody.
    log.setAttribute('aria-live', 'off');
    log.replaceChildren();
    for (const m of state.messages) place(m);
    regroup(state.messages);
    requestAnimationFrame(() => log.setAttribute('aria-live', 'polite'));
    older.hidden = !state.hasOlder;
    renderDraft();
  }

  function place(message) {
    const node = bubble(message, facts(message), actions);
    nodes.set(message.message_id, node);
    const day = dayOf(message);
    const at = state.messages.indexOf(message);
    const next = state.messages.slice(at + 1).find((m) => nodes.has(m.message_id));
    if (next && dayKey(next) === dayKey(message)) nodes.get(next.message_id).before(node);
    else day.append(node);
    return node;
  }

  function dayOf(message) {
    const key = dayKey(message);
    for (const section of log.children) {
      if (section.dataset.day === key) return section;
      if (section.dataset.day > key) {
        const fresh = daySection(key, message);
        section.before(fresh);
        return fresh;
      }
    }
    const fresh = daySection(key, message);
    log.append(fresh);
    return fresh;
  }

  // Groups join what one side said in one go: only the last shows the tail.
  function regroup(around) {
    const all = state.messages;
    const touched = new Set();
    for (const m of around) {
      const at = all.indexOf(m);
      for (const i of [at - 1, at, at + 1]) if (all[i]) touched.add(i);
    }
    for (const i of touched) {
      const node = nodes.get(all[i].message_id);
      node?.classList.toggle('first', !together(all[i - 1], all[i]));
      node?.classList.toggle('last', !together(all[i], all[i + 1]));
    }
  }

  function added(message) {
    const node = place(message);
    regroup([message]);
    if (message.from?.is_bot && draftNode?.dataset.leaving) removeDraft();
    else node.classList.add('arriving');
    if (isOwn(message)) return follow(true);
    if (!following) {
      unread += 1;
      renderToEnd();
    }
    return follow();
  }

  function renderDraft() {
    const { draft } = state;
    if (!draft) return removeDraft();
    if (!draftNode || draftNode.dataset.draftId !== String(draft.draft_id)) {
      removeDraft();
      draftNode = el('article', { class: 'message in first last draft', 'data-testid': 'draft', 'data-draft-id': draft.draft_id },
        el('div', { class: 'stack' }, el('div', { class: 'bubble' }, el('div', { class: 'body' }))));
      slot.append(draftNode);
    }
    const body = draftNode.querySelector('.body');
    draftNode.classList.toggle('thinking', !draft.text);
    if (draft.text) {
      body.replaceChildren(textElement(draft.text, draft.entities, actions), el('span', { class: 'caret', 'aria-hidden': 'true' }));
    } else {
      body.replaceChildren(el('span', { class: 'shimmer' }, 'Thinking…'));
    }
    renderStop(draft);
    return follow();
  }

  function renderStop(draft) {
    const stop = draftNode.querySelector('[data-testid=stop]');
    if (!draft.can_stop) stop?.remove();
    else if (!stop) {
      draftNode.append(button({ class: 'stop', 'data-testid': 'stop', on: { click: (e) => act.stop(draft.draft_id, e.currentTarget) } }, icon('stop'), 'Stop'));
    }
  }

  function removeDraft() {
    draftNode?.remove();
    draftNode = null;
  }

  // A draft that ends in its message keeps its place until that message is there.
  function draftEnded(reason) {
    if (!draftNode) return;
    if (reason !== 'final') return removeDraft();
    draftNode.dataset.leaving = 'true';
    const leaving = draftNode;
    setTimeout(() => {
      if (draftNode === leaving) removeDraft();
    }, 1000);
  }

  function follow(always = false) {
    if (always) following = true;
    if (following) scroller.scrollTop = scroller.scrollHeight;
  }

  function renderToEnd() {
    toEnd.hidden = following;
    toEnd.replaceChildren(icon('down'), unread ? el('span', { class: 'badge' }, String(unread)) : '');
  }

  function jump(messageId) {
    const node = nodes.get(messageId);
    if (!node) return;
    node.scrollIntoView({ block: 'center' });
    node.classList.add('flash');
    setTimeout(() => node.classList.remove('flash'), FLASH_MS);
  }

  scroller.addEventListener('scroll', () => {
    const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    if (near === following && !unread) return;
    following = near;
    if (near) unread = 0;
    renderToEnd();
  }, { passive: true });
  // What grows or shrinks below, or the window, must not lose the end.
  new ResizeObserver(() => follow()).observe(scroller);
  toEnd.addEventListener('click', () => {
    unread = 0;
    follow(true);
    renderToEnd();
  });
  older.querySelector('button').addEventListener('click', () => act.older());

  store.on('reset', () => {
    renderAll();
    unread = 0;
    follow(true);
    renderToEnd();
  });
  store.on('older', () => {
    const height = scroller.scrollHeight;
    const top = scroller.scrollTop;
    renderAll();
    scroller.scrollTop = top + scroller.scrollHeight - height;
  });
  store.on('message', added);
  store.on('edit', (message) => {
    const node = nodes.get(message.message_id);
    if (node) fill(node, message, facts(message), actions);
    follow();
  });
  // What a payment changes: its invoice, and the lines that say it was paid or given back.
  store.on('payment', (payment) => {
    for (const m of state.messages) {
      const charge = (m.successful_payment ?? m.refunded_payment)?.telegram_payment_charge_id;
      if (m.message_id === payment.invoice || charge === payment.charge) fill(nodes.get(m.message_id), m, facts(m), actions);
    }
  });
  store.on('delete', (id) => {
    const section = nodes.get(id)?.parentElement;
    nodes.get(id)?.remove();
    nodes.delete(id);
    if (section && !section.querySelector('.message')) section.remove();
    regroup(state.messages);
  });
  store.on('draft', renderDraft);
  store.on('draft_end', draftEnded);
  store.on('read', () => {
    for (const m of state.messages) if (isOwn(m)) markRead(nodes.get(m.message_id) ?? el('i'), facts(m).read);
  });
}

const together = (a, b) => Boolean(a && b && !isService(a) && !isService(b) && a.from?.id === b.from?.id && dayKey(a) === dayKey(b)
  && b.date - a.date < GROUP_SECONDS && !a.reply_markup?.inline_keyboard?.length);

function dayKey(message) {
  const d = new Date(message.date * 1000);
  return `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, '0')}-${String(d.getDate()).padStart(2, '0')}`;
}

function daySection(key, message) {
  return el('section', { class: 'day', 'data-day': key }, el('h2', { class: 'day-label' }, el('span', {}, dayName(message))));
}

function dayName(message) {
  const date = new Date(message.date * 1000);
  const today = new Date();
  const days = Math.round((new Date(today).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return (date.getFullYear() === today.getFullYear() ? dayFormat : yearFormat).format(date);
}
