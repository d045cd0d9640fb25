// Rich messages: Telegram's HTML as elements. Only the tags below are known, no
// attribute but a link's address is taken over, and text stays text.

import { el } from './dom.js';
import { safeLink } from './entities.js';

const TOKENS = /<(\/?)([a-z][a-z0-9-]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*(\/?)>|[^<]+|</g;
const NAMED = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: '\u00a0' };
const MOST_DEPTH = 64;

// Telegram's tags, and what shows each of them here.
const TAGS = {
  p: 'p', h1: 'h3', h2: 'h3', h3: 'h3', h4: 'h4', h5: 'h4', h6: 'h4', ul: 'ul', ol: 'ol', li: 'li', blockquote: 'blockquote', pre: 'pre', code: 'code',
  b: 'strong', strong: 'strong', i: 'em', em: 'em', u: 'u', ins: 'u', s: 's', del: 's', mark: 'mark', sub: 'sub', sup: 'sup', footer: 'footer',
  table: 'table', thead: 'thead', tbody: 'tbody', tr: 'tr', th: 'th', td: 'td', a: 'a', 'tg-math': 'code', 'tg-math-block': 'pre', details: 'details', summary: 'summary',
};
const EMPTY = { br: 'br', hr: 'hr' };

const decoded = (text) => text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi, (whole, decimal, hex, name) => {
  if (name) return NAMED[name] ?? whole;
  const code = decimal ? Number(decimal) : parseInt(hex, 16);
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
});

/** A rich message as a tree: strings and {tag, href, children}. Unknown tags leave their inside. */
export function richTree(html) {
  const root = { tag: '', children: [] };
  const open = [root];
  for (const [token, closing, name, attributes] of html.matchAll(TOKENS)) {
    const top = open.at(-1);
    if (!name) top.children.push(decoded(token));
    else if (EMPTY[name]) top.children.push({ tag: EMPTY[name], children: [] });
    else if (closing) {
      const at = open.findLastIndex((node) => node.name === name);
      if (at > 0) open.length = at;
    } else if (TAGS[name] && open.length < MOST_DEPTH) {
      const node = { name, tag: TAGS[name], href: /\shref=["]([^"]*)["]/.exec(attributes)?.[1], children: [] };
      top.children.push(node);
      open.push(node);
    }
  }
  return root.children;
}

function render(node) {
  if (typeof node === 'string') return document.createTextNode(node);
  const children = node.children.map(render);
  if (node.tag !== 'a') {
    const made = el(node.tag, {}, children);
    return node.tag === 'table' ? el('div', { class: 'rich-table', tabindex: '0' }, made) : made;
  }
  const href = safeLink(decoded(node.href ?? ''));
  return href ? el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, children) : el('span', {}, children);
}

/** The element of a rich message. */
export function richElement(rich) {
  return el('div', { class: 'text rich', dir: 'auto', 'data-testid': 'message-text' }, richTree(rich.html ?? rich.markdown ?? '').map(render));
}
