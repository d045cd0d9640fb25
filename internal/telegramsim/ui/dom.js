// The few things every view needs to make elements. Text always goes in as
// text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an element. Properties are attributes, but for `on` (event listeners by
 * name), `class` and `hidden`; null and false leave one out. Children are nodes
 * or strings.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    } else {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const PATHS = {
  send: 'M3.4 20.3 21.6 12.4a.5.5 0 0 0 0-.9L3.4 3.7c-.4-.2-.8.2-.7.6L4.6 10.6 14 12l-9.4 1.4-1.9 6.3c-.1.4.3.8.7.6z',
  stop: 'M7 5.5h10A1.5 1.5 0 0 1 18.5 7v10a1.5 1.5 0 0 1-1.5 1.5H7A1.5 1.5 0 0 1 5.5 17V7A1.5 1.5 0 0 1 7 5.5z',
};

const LINES = {
  menu: 'M4 7h16M4 12h16M4 17h10',
  close: 'M6 6l12 12M18 6 6 18',
  down: 'M6 9.5l6 6 6-6',
  copy: 'M9 9h9a1.5 1.5 0 0 1 1.5 1.5v8A1.5 1.5 0 0 1 18 20H9.5A1.5 1.5 0 0 1 8 18.5V10.5M15.5 8.5V5.5A1.5 1.5 0 0 0 14 4H5.5A1.5 1.5 0 0 0 4 5.5v9A1.5 1.5 0 0 0 5.5 16H8M8 10.5A1.5 1.5 0 0 1 9.5 9',
  out: 'M9 6h9v9M18 6 7 17',
  app: 'M5 5h14v14H5zM5 9.5h14',
  more: 'M5.5 12h.01M12 12h.01M18.5 12h.01',
  check: 'M4 12.5l4.5 4.5L18 7',
  checks: 'M2 12.5 6.5 17 16 7M11 15.5l1.5 1.5L22 7',
  clock: 'M12 7v5l3 2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z',
  reply: 'M10 6 4 12l6 6M4 12h10a6 6 0 0 1 6 6',
  edit: 'M5 19l1-4L16 5l3 3L9 18zM14 7l3 3',
  keys: 'M4 7h16v10H4zM7.5 10.2h.01M12 10.2h.01M16.5 10.2h.01M8 14h8',
  file: 'M7 3.5h7l4 4v13H7zM14 3.5v4h4',
  attach: 'M19 11.5 12 18.4a4.4 4.4 0 0 1-6.3-6.2l7.6-7.4a3 3 0 0 1 4.2 4.2l-7.4 7.3a1.5 1.5 0 0 1-2.1-2.1l6.6-6.5',
  group: 'M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3.5 19a5.5 5.5 0 0 1 11 0M16 11a2.5 2.5 0 1 0-1-4.8M16.5 14a5 5 0 0 1 4 5',
  add: 'M12 5v14M5 12h14',
  back: 'M8 5 4 9l4 4M4 9h10a5.5 5.5 0 0 1 0 11H9',
  up: 'M12 19V6M6 11.5 12 5.5l6 6',
  topic: 'M9.5 4.5 7.5 19.5M16.5 4.5l-2 15M4.5 9.5h15M4 14.5h15',
  ask: 'M5 6.5h14v9h-7l-4 3.5v-3.5H5zM9 10h6M9 12.5h3.5',
  left: 'M19 12H5M11 6l-6 6 6 6',
  slash: 'M5 4.5h14v15H5zM14 8l-4 8',
  reload: 'M19 6v4.5h-4.5M18.5 10.5A7 7 0 1 0 19 14',
  block: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM6 6l12 12',
};

/** Makes an icon; it is decoration, so a button that holds one needs a name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon', PATHS[name] ? 'solid' : 'line');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name] ?? LINES[name]);
  svg.append(path);
  return svg;
}

/** Makes a button with a name for those who cannot see its icon. */
export function button(props, ...children) {
  return el('button', { type: 'button', ...props }, ...children);
}

/** Fills a round avatar with somebody's initials and a colour of their own. */
export function paintAvatar(node, person) {
  const name = [person.first_name, person.last_name].filter(Boolean).join(' ') || '?';
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : [...words[0]][0];
  node.textContent = letters.toUpperCase();
  node.dataset.tint = tintOf(person);
  return node;
}

const TINTS = 6;

/** The name of the colour that somebody has everywhere. */
export const tintOf = (person) => (person.is_bot ? 'bot' : String(Math.abs(person.id) % TINTS));

/**
 * Ties a panel to the button that opens it: click, Escape and a click elsewhere
 * close it again, and the button tells assistive tools which it is.
 */
export function tiePanel(opener, panel, { onOpen } = {}) {
  const set = (open) => {
    panel.hidden = !open;
    opener.setAttribute('aria-expanded', String(open));
    if (open) onOpen?.();
  };
  opener.setAttribute('aria-haspopup', 'true');
  set(false);
  opener.addEventListener('click', () => set(panel.hidden));
  document.addEventListener('pointerdown', (event) => {
    if (!panel.hidden && !panel.contains(event.target) && !opener.contains(event.target)) set(false);
  });
  for (const node of [opener, panel]) {
    node.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !panel.hidden) {
        event.stopPropagation();
        set(false);
        opener.focus();
      }
    });
  }
  return { open: () => set(true), close: () => set(false) };
}
