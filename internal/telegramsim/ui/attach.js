// The files that go with the next message: chosen, shown as a tray, sent.

import { button, el, icon } from './dom.js';

const MOST_FILES = 10;             // of an album
const MOST_BYTES = 64 * 1024 ** 2; // of all of them
const ALBUM = { photo: 'visual', video: 'visual', document: 'document', audio: 'audio' };

/** The kind of message that a file is usually sent as, by its type and name. */
export function kindOf({ type, name }) {
  if (/^image\/(png|jpeg|gif)$/.test(type)) return 'photo';
  if (/^video\/(mp4|webm)$/.test(type)) return 'video';
  if (/\.(oga|ogg|opus)$/i.test(name)) return 'voice';
  return type.startsWith('audio/') ? 'audio' : 'document';
}

/** The kinds of files that are sent together: those that make no album go as documents. */
export function kindsOf(files) {
  const kinds = files.map(kindOf);
  const together = kinds.length < 2 || kinds.every((kind) => ALBUM[kind] && ALBUM[kind] === ALBUM[kinds[0]]);
  return together ? kinds : kinds.map(() => 'document');
}

async function base64(file) {
  const reader = new FileReader();
  const address = await new Promise((resolve, reject) => {
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} could not be read.`));
    reader.readAsDataURL(file);
  });
  return address.slice(address.indexOf(',') + 1);
}

// How long a sound is, in whole seconds; one that the browser cannot decode is told as 1.
async function seconds(file) {
  const context = new AudioContext();
  try {
    const { duration } = await context.decodeAudioData(await file.arrayBuffer());
    return Math.max(1, Math.round(duration));
  } catch {
    return 1;
  } finally {
    await context.close();
  }
}

/** What POST /sim/send takes as attachments. */
export async function attachments(files) {
  const kinds = kindsOf(files);
  return Promise.all(files.map(async (file, i) => ({
    kind: kinds[i],
    name: kinds[i] === 'photo' || kinds[i] === 'voice' ? undefined : file.name,
    mime: file.type || undefined,
    data: await base64(file),
    seconds: kinds[i] === 'voice' || kinds[i] === 'audio' ? await seconds(file) : undefined,
  })));
}

/** The paper clip and the tray of files; `changed` is called when the files did, `complain` with why one is not taken. */
export function createTray({ changed, complain }) {
  let files = [];
  const chooser = el('input', { type: 'file', multiple: true, hidden: true, 'data-testid': 'files', 'aria-label': 'Files to send' });
  const clip = button({ class: 'icon-button', 'aria-label': 'Attach files', 'data-testid': 'attach', on: { click: () => chooser.click() } }, icon('attach'));
  const tray = el('div', { class: 'tray', 'data-testid': 'tray', hidden: true });

  function set(next) {
    files = next;
    tray.hidden = files.length === 0;
    tray.replaceChildren(...files.map((file, i) => el('span', { class: 'tray-item' },
      el('span', { dir: 'auto' }, file.name),
      button({ class: 'icon-button', 'aria-label': `Leave out ${file.name}`, on: { click: () => set(files.filter((_, at) => at !== i)) } }, icon('close')))));
    changed();
  }

  function add(more) {
    const all = [...files, ...more];
    if (all.length > MOST_FILES) complain(`A message carries at most ${MOST_FILES} files.`);
    else if (all.reduce((sum, file) => sum + file.size, 0) > MOST_BYTES) complain('These files are more than 64 MB together.');
    else set(all);
  }

  chooser.addEventListener('change', () => {
    add(chooser.files);
    chooser.value = '';
  });
  return { chooser, clip, tray, add, files: () => files, take: () => {
    const taken = files;
    set([]);
    return taken;
  }, giveBack: set };
}
