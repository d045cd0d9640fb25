// The list of messages: days, groups, the streaming draft, and where it stands.

import { bubble, fill, markRead, textElement } from './bubble.js';
import { button, el, icon } from './dom.js';
import { isService } from './invoice.js';
import { richElement } from './rich.js';

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
  let seen = [0, 0]; // heights of the list and of its window, when last looked at

  const isOwn = (m) => m.from?.id === state.user.id;
  // What is sent as one stands as one: the messages of an album, of those that are shown.
  const albumOf = (m) => (m.media_group_id ? state.messages.filter((o) => o.media_group_id === m.media_group_id && store.shown(o)) : [m]);
  const shown = () => state.messages.filter(store.shown);
  const facts = (m) => ({ together: albumOf(m), own: isOwn(m), read: m.message_id <= state.readUpTo, bot: state.bot.first_name, payments: state.payments, group: state.chat.type !== 'private' });
  const actions = { ...act, jump };
  const empty = () => nodes.size === 0 && !draftNode;

  function renderAll() {
    nodes.clear();
    // A whole chat read aloud at once would help nobody.
    log.setAttribute('aria-live', 'off');
    log.replaceChildren();
    for (const m of shown()) place(m);
    regroup(shown());
    requestAnimationFrame(() => log.setAttribute('aria-live', 'polite'));
    older.hidden = !state.hasOlder;
    renderDraft();
  }

  function place(message) {
    const mate = albumOf(message).find((m) => nodes.has(m.message_id));
    if (mate) {
      const node = nodes.get(mate.message_id);
      nodes.set(message.message_id, node);
      return node;
    }
    const node = bubble(message, facts(message), actions);
    nodes.set(message.message_id, node);
    const day = dayOf(message);
    const at = state.messages.indexOf(message);
    const next = state.messages.slice(at + 1).find((m) => nodes.has(m.message_id));
    if (next && dayKey(next) === dayKey(message)) nodes.get(next.message_id).before(node);
    else day.append(node);
    return node;
  }

  /** Fills a message's element anew, of an album the one of all. */
  function refill(message) {
    const node = nodes.get(message.message_id);
    if (!node) return;
    const [first] = albumOf(message);
    node.dataset.messageId = first.message_id;
    fill(node, first, facts(first), actions);
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
    const all = shown().filter((m) => albumOf(m)[0] === m);
    const touched = new Set();
    for (const m of around) {
      const at = all.indexOf(albumOf(m)[0]);
      for (const i of [at - 1, at, at + 1]) if (all[i]) touched.add(i);
    }
    for (const i of touched) {
      const node = nodes.get(all[i].message_id);
      node?.classList.toggle('first', !together(all[i - 1], all[i]));
      node?.classList.toggle('last', !together(all[i], all[i + 1]));
    }
  }

  function added(message) {
    if (!store.shown(message)) return undefined;
    const node = place(message);
    if (albumOf(message).length > 1) refill(message);
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
    if (!draft || (draft.message_thread_id ?? 0) !== state.thread) return removeDraft();
    if (!draftNode || draftNode.dataset.draftId !== String(draft.draft_id)) {
      removeDraft();
      draftNode = el('article', { class: 'message in first last draft', 'data-testid': 'draft', 'data-draft-id': draft.draft_id },
        el('div', { class: 'stack' }, el('div', { class: 'bubble' }, el('div', { class: 'body' }))));
      slot.append(draftNode);
    }
    const body = draftNode.querySelector('.body');
    draftNode.classList.toggle('thinking', !draft.text && !draft.rich_message);
    if (draft.rich_message) {
      body.replaceChildren(richElement(draft.rich_message));
    } else if (draft.text) {
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
    if (always) {
      following = true;
      unread = 0;
      renderToEnd();
    }
    // Before the first message what the bot is stands there, and is read from its beginning.
    if (empty() && always) scroller.scrollTop = 0;
    else if (following && !empty()) scroller.scrollTop = scroller.scrollHeight;
    seen = [scroller.scrollHeight, scroller.clientHeight];
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
    if (empty()) return undefined;
    // A window that changes moves the list, too: that is nobody's scrolling.
    if (seen[0] !== scroller.scrollHeight || seen[1] !== scroller.clientHeight) return follow();
    const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    if (near === following && !unread) return undefined;
    following = near;
    if (near) unread = 0;
    return renderToEnd();
  }, { passive: true });
  // What grows or shrinks below, or the window, must not lose the end.
  const sizes = new ResizeObserver(() => follow());
  sizes.observe(scroller);
  sizes.observe(log); // a picture that has come is taller than its place was
  toEnd.addEventListener('click', () => follow(true));
  older.querySelector('button').addEventListener('click', () => act.older());

  store.on('reset thread', () => {
    renderAll();
    follow(true);
  });
  store.on('older', () => {
    const height = scroller.scrollHeight;
    const top = scroller.scrollTop;
    renderAll();
    scroller.scrollTop = top + scroller.scrollHeight - height;
  });
  store.on('message', added);
  store.on('edit', (message) => {
    refill(message);
    follow();
  });
  // What a payment changes: its invoice, and the lines that say it was paid or given back.
  store.on('payment', (payment) => {
    for (const m of state.messages) {
      const charge = (m.successful_payment ?? m.refunded_payment)?.telegram_payment_charge_id;
      if (m.message_id === payment.invoice || charge === payment.charge) refill(m);
    }
  });
  store.on('delete', (id) => {
    const node = nodes.get(id);
    nodes.delete(id);
    const mate = state.messages.find((m) => nodes.get(m.message_id) === node);
    if (node && mate) return refill(mate);
    const section = node?.parentElement;
    node?.remove();
    if (section && !section.querySelector('.message')) section.remove();
    return regroup(shown());
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
