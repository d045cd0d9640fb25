// Steps with files, groups and several people: what a person sends beside text.

import { id, newest, results, shoot, step, stepMs } from './walking.mjs';

const SOUND_HZ = 8000;

/** Sends a picture, a sound, a document and an album; each must be shown, and answered. */
export async function media(page) {
  const picture = { name: 'chat.png', mimeType: 'image/png', buffer: await page.screenshot() };
  await step('media: a picture', () => sent(page, [picture], 'What is in this picture?', 'photo'));
  await step('media: the picture enlarged', async () => {
    await page.locator(id('photo')).last().click({ timeout: stepMs });
    await page.locator(`${id('lightbox')} img`).waitFor({ timeout: stepMs });
    await page.keyboard.press('Escape');
    return {};
  });
  await step('media: a document', () => sent(page, [{ name: 'notes.md', mimeType: 'text/markdown', buffer: Buffer.from('# Notes\n\nThe lighthouse is green.\n') }], 'What colour is it?', 'document'));
  await step('media: the document opened', async () => {
    await page.locator(id('document')).last().click({ timeout: stepMs });
    await page.locator(id('document-text')).getByText('The lighthouse is green.').waitFor({ timeout: stepMs });
    await shoot(page, 'document');
    await page.keyboard.press('Escape');
    return {};
  });
  await step('media: a sound', () => sent(page, [{ name: 'hello.wav', mimeType: 'audio/wav', buffer: sound(1) }], '', 'sound'));
  await step('media: an album', () => sent(page, [picture, { ...picture, name: 'again.png' }], 'Compare these.', 'photo', 2));
  if (results.console.length) throw new Error(results.console[0]);
}

/** Sends files with a caption; they must be shown in one bubble, and the bot must answer with words. */
async function sent(page, files, text, kind, count = 1) {
  const before = await newest(page);
  await page.locator(id('files')).setInputFiles(files);
  if (await page.locator(`${id('tray')} .tray-item`).count() !== files.length) throw new Error('the tray does not show every file');
  await page.locator(id('composer')).fill(text);
  await page.locator(id('send')).click({ timeout: stepMs });
  const found = await page.waitForFunction(([own, bot, above, shown, wanted]) => {
    const after = (node) => Number(node.dataset.messageId) > above;
    const said = [...document.querySelectorAll(own)].filter((node) => after(node) && node.querySelector(shown));
    const answer = [...document.querySelectorAll(bot)].find(after);
    return said.length === 1 && said[0].querySelectorAll(shown).length === wanted && answer ? answer.querySelector('.text')?.textContent ?? '' : null;
  }, [`${id('message')}[data-from=user]`, `${id('message')}[data-from=bot]`, before, id(kind), count], { timeout: stepMs })
    .catch(() => { throw new Error(`no ${kind} that the bot answered within ${stepMs} ms`); });
  await shoot(page, `sent-${kind}-${count}`);
  return { answer: await found.jsonValue() };
}

/** A WAV file of so many seconds of a tone. */
function sound(seconds) {
  const samples = SOUND_HZ * seconds;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20); // PCM
  head.writeUInt16LE(1, 22); // one channel
  head.writeUInt32LE(SOUND_HZ, 24);
  head.writeUInt32LE(SOUND_HZ, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34); // bits
  head.write('data', 36);
  head.writeUInt32LE(samples, 40);
  const tone = Buffer.from(Array.from({ length: samples }, (_, i) => 128 + Math.round(60 * Math.sin(i / 3))));
  return Buffer.concat([head, tone]);
}
