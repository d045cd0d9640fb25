// What a message carries beside text: pictures, files, sound and film, and the
// small things that are told in a word.

import { button, el, icon } from './dom.js';
import { size } from './units.js';

const MOST_SHOWN = 200000; // characters of a text file that are shown at once
const TEXTUAL = /\.(md|txt|csv|json|ya?ml|log|xml|html?|[cm]?jsx?|tsx?|py|go|rs|sh|sql|css)$/i;

const address = (file) => `/sim/file?id=${encodeURIComponent(file.file_id)}`;

// What stands for the kinds that are told in a word.
const THINGS = {
  sticker: (v) => `${v.emoji ?? ''} Sticker`, dice: (v) => `${v.emoji} ${v.value}`, location: (v) => `📍 ${v.latitude}, ${v.longitude}`,
  venue: (v) => `📍 ${v.title}, ${v.address}`, contact: (v) => `👤 ${v.first_name} ${v.phone_number}`, poll: (v) => `📊 ${v.question}`,
  game: (v) => `🎮 ${v.title}`, story: () => 'Story', checklist: (v) => `☑ ${v.title}`, live_photo: () => 'Live photo', paid_media: () => 'Paid media',
};

/** The word for what a message carries, or an empty string. */
export function mediaWord(message) {
  if (message.photo) return 'Photo';
  if (message.voice) return 'Voice message';
  if (message.audio) return message.audio.title || message.audio.file_name || 'Audio';
  if (message.animation) return 'GIF';
  if (message.video) return 'Video';
  if (message.video_note) return 'Video message';
  if (message.document) return message.document.file_name || 'File';
  const kind = Object.keys(THINGS).find((name) => message[name]);
  return kind ? THINGS[kind](message[kind]).trim() : '';
}

/** The element of what a message carries, or null. */
export function media(message) {
  if (message.photo) return photo(message.photo, message.caption);
  if (message.voice) return sound(message.voice, 'Voice message');
  if (message.audio) return sound(message.audio, [message.audio.performer, mediaWord(message)].filter(Boolean).join(': '));
  const film = message.animation ?? message.video ?? message.video_note;
  if (film) return el('video', { class: `film ${message.video_note ? 'round' : ''}`, controls: true, preload: 'metadata', src: address(film), 'aria-label': mediaWord(message), 'data-testid': 'video' });
  if (message.document) return fileCard(message.document);
  const word = mediaWord(message);
  return word ? el('span', { class: 'thing', dir: 'auto', 'data-testid': 'thing' }, word) : null;
}

function photo(sizes, caption) {
  const large = sizes.at(-1);
  const show = () => {
    const box = el('dialog', { class: 'lightbox', 'aria-label': 'Photo', 'data-testid': 'lightbox', on: { click: () => box.close(), close: () => box.remove() } },
      el('img', { src: address(large), alt: caption || 'Photo' }));
    document.body.append(box);
    box.showModal();
  };
  return button({ class: 'photo', 'aria-haspopup': 'dialog', 'data-testid': 'photo', on: { click: show } },
    el('img', { src: address(large), width: large.width, height: large.height, alt: caption || 'Photo' }));
}

function sound(file, name) {
  return el('div', { class: 'sound', 'data-testid': 'sound' },
    el('span', { class: 'sound-name' }, name),
    el('audio', { controls: true, preload: 'none', src: address(file), 'aria-label': name }));
}

function fileCard(file) {
  const name = file.file_name || 'File';
  const words = [el('span', { class: 'file-badge', 'aria-hidden': 'true' }, icon('file')),
    el('span', { class: 'file-words' }, el('strong', { dir: 'auto' }, name), el('span', { class: 'file-size' }, size(file.file_size ?? 0)))];
  if (!TEXTUAL.test(name)) return el('a', { class: 'file', href: address(file), download: name, 'data-testid': 'document' }, words);
  return button({ class: 'file', 'aria-haspopup': 'dialog', 'data-testid': 'document', on: { click: () => read(file, name) } }, words);
}

// A text file is read in place; whatever it holds, it is text here.
async function read(file, name) {
  const text = el('pre', { class: 'reader-text', dir: 'auto', tabindex: '0', 'data-testid': 'document-text' }, 'Loading…');
  const box = el('dialog', { class: 'box reader', 'aria-label': name, 'data-testid': 'reader', on: { close: () => box.remove() } },
    el('h2', { dir: 'auto' }, name), text,
    el('div', { class: 'box-actions' },
      el('a', { class: 'primary', href: address(file), download: name }, 'Save'),
      button({ class: 'primary', on: { click: () => box.close() } }, 'Close')));
  document.body.append(box);
  box.showModal();
  try {
    const response = await fetch(address(file));
    if (!response.ok) throw new Error('gone');
    const whole = await response.text();
    text.textContent = whole.length > MOST_SHOWN ? `${whole.slice(0, MOST_SHOWN)}…` : whole;
  } catch {
    text.textContent = 'The file could not be read.';
  }
}
