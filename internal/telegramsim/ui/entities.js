// Message entities, as a tree and as elements.

import { button, el, icon } from './dom.js';

/**
 * Nests a message's entities over its text: an array of strings and
 * {entity, children}. Offsets count UTF-16 units, as string indices do. Entities
 * outside the text are dropped; of two that overlap, the later is cut in two.
 */
export function entityTree(text, entities = []) {
  const queue = [];
  for (const entity of entities) {
    const start = Math.max(0, entity.offset);
    const end = Math.min(text.length, entity.offset + entity.length);
    if (end > start) queue.push({ entity, start, end });
  }
  return nest(text, 0, text.length, queue);
}

function nest(text, from, to, queue) {
  const inside = queue.toSorted((a, b) => a.start - b.start || b.end - a.end);
  const nodes = [];
  let at = from;
  while (inside.length > 0) {
    const { entity, start, end } = inside.shift();
    if (start > at) nodes.push(text.slice(at, start));
    const children = [];
    while (inside.length > 0 && inside[0].start < end) {
      const next = inside.shift();
      children.push({ ...next, end: Math.min(next.end, end) });
      if (next.end > end) insert(inside, { ...next, start: end });
    }
    nodes.push({ entity, children: nest(text, start, end, children) });
    at = end;
  }
  if (at < to) nodes.push(text.slice(at, to));
  return nodes;
}

function insert(sorted, item) {
  const at = sorted.findIndex((o) => o.start > item.start || (o.start === item.start && o.end < item.end));
  sorted.splice(at < 0 ? sorted.length : at, 0, item);
}

/** The address a link may lead to, or null where it should lead nowhere. */
export function safeLink(address) {
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:/i.test(address) ? address : `https://${address}`);
    return ['http:', 'https:', 'mailto:', 'tel:', 'tg:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * Renders text with entities. `act` has `command(text)`, for a tapped command,
 * and `copy(text)`.
 */
export function renderText(text, entities, act) {
  const fragment = document.createDocumentFragment();
  fragment.append(...renderAll(entityTree(text, entities), act));
  return fragment;
}

const BLOCKS = ['pre', 'blockquote', 'expandable_blockquote'];

// A block ends its line itself: the line break behind it stays, unseen.
function renderAll(nodes, act) {
  return nodes.flatMap((node, i) => {
    const afterBlock = BLOCKS.includes(nodes[i - 1]?.entity?.type);
    if (!afterBlock || typeof node !== 'string' || !node.startsWith('\n')) return [render(node, act)];
    return [el('span', { hidden: true }, '\n'), document.createTextNode(node.slice(1))];
  });
}

const PLAIN_TAGS = {
  bold: 'strong', italic: 'em', underline: 'u', strikethrough: 's', blockquote: 'blockquote',
};

function render(node, act) {
  if (typeof node === 'string') return document.createTextNode(node);
  const { entity } = node;
  const children = renderAll(node.children, act);
  if (PLAIN_TAGS[entity.type]) return el(PLAIN_TAGS[entity.type], {}, children);
  switch (entity.type) {
    case 'code':
      return tapToCopy(el('code', { class: 'code', title: 'Copy' }, children), act);
    case 'pre':
      return pre(entity, children, act);
    case 'spoiler':
      return spoiler(children);
    case 'expandable_blockquote':
      return expandable(children);
    case 'text_link':
      return link(entity.url, children);
    case 'url':
      return link(plain(node), children);
    case 'email':
      return link(`mailto:${plain(node)}`, children);
    case 'phone_number':
      return link(`tel:${plain(node)}`, children);
    case 'bot_command':
      return button({ class: 'link', on: { click: () => act.command(plain(node)) } }, children);
    case 'mention': case 'text_mention': case 'hashtag': case 'cashtag':
      return el('span', { class: 'tag' }, children);
    default:
      return el('span', {}, children);
  }
}

const plain = (node) => (typeof node === 'string' ? node : node.children.map(plain).join(''));

function link(address, children) {
  const href = safeLink(address);
  if (!href) return el('span', {}, children);
  return el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, children);
}

function pre(entity, children, act) {
  const code = el('code', {}, children);
  return el('div', { class: 'pre' },
    el('div', { class: 'pre-bar', 'data-language': entity.language || 'code' },
      button({ class: 'icon-button', 'aria-label': 'Copy this code', on: { click: () => act.copy(code.textContent) } }, icon('copy'))),
    el('pre', { tabindex: '0' }, code));
}

// Short code is copied by a tap, as a key or an id most often is.
function tapToCopy(node, act) {
  return pressable(node, 'button', () => {
    if (getSelection().isCollapsed) act.copy(node.textContent);
  });
}

/** Lets an element that must stay inline text be pressed like a button. */
function pressable(node, role, press) {
  node.setAttribute('role', role);
  node.tabIndex = 0;
  node.addEventListener('click', press);
  node.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    press(event);
  });
  return node;
}

function spoiler(children) {
  const inner = el('span', { 'aria-hidden': 'true' }, children);
  const node = el('span', { class: 'spoiler', 'aria-label': 'Hidden text; press to show it' }, inner);
  return pressable(node, 'button', (event) => {
    if (node.classList.contains('shown')) return;
    event.preventDefault();
    node.classList.add('shown');
    inner.removeAttribute('aria-hidden');
    for (const name of ['role', 'tabindex', 'aria-label']) node.removeAttribute(name);
  });
}

function expandable(children) {
  const quote = el('blockquote', { class: 'folded' }, children);
  const more = button({
    class: 'link unfold',
    'aria-expanded': 'false',
    'aria-label': 'Show the whole quotation',
    on: {
      click: () => {
        const folded = quote.classList.toggle('folded');
        more.setAttribute('aria-expanded', String(!folded));
      },
    },
  }, icon('down'));
  quote.append(more);
  return quote;
}
