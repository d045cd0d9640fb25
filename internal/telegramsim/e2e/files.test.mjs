// Files on the chat page, against the stand-in: shown, opened, sent.

import assert from 'node:assert/strict';
import test from 'node:test';
import { lowContrast } from './contrast.mjs';
import { ADA, id, stage } from './stage.mjs';

const GRACE = { id: 1002, is_bot: false, first_name: 'Grace' };

let fake;
let page;
stage((it) => ({ fake, page } = it), '/');

test('a text file opens in place as text, whatever it holds; others are saved', async () => {
  fake.post(ADA, { document: { file_id: 'd1', file_name: 'page.html', file_size: 1536 }, caption: 'read this' });
  fake.post(ADA, { document: { file_id: 'd2', file_name: 'a.zip', file_size: 12 } });
  const [text, archive] = [page.locator(id('document')).first(), page.locator(id('document')).last()];
  await page.locator(id('document')).nth(1).waitFor();
  assert.match(await text.textContent(), /page\.html1\.5 KB/);
  assert.equal(await archive.getAttribute('download'), 'a.zip');
  await text.click();
  await page.waitForFunction((s) => document.querySelector(s)?.textContent === '<b>plain</b> text', id('document-text'));
  assert.equal(await page.locator(`${id('document-text')} b`).count(), 0);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await lowContrast(page), []);
  }
});

test('files are chosen, shown in the tray, left out again and sent as an album or as documents', async () => {
  const photo = { name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('png') };
  await page.locator(id('files')).setInputFiles([photo, { ...photo, name: 'b.png' }, { ...photo, name: 'c.png' }]);
  await page.getByRole('button', { name: 'Leave out b.png' }).click();
  await page.locator(id('send')).click();
  await page.waitForFunction((s) => document.querySelector(s).hidden, id('tray'));
  await page.locator(id('message')).first().waitFor();
  assert.deepEqual(fake.attached.map((a) => [a.kind, Buffer.from(a.data, 'base64').toString()]), [['photo', 'png'], ['photo', 'png']]);
  await page.locator(id('files')).setInputFiles([photo, { name: 'n.md', mimeType: 'text/markdown', buffer: Buffer.from('# n') }]);
  await page.locator(id('send')).click();
  await page.locator(id('message')).nth(2).waitFor();
  assert.deepEqual(fake.attached.map((a) => [a.kind, a.name]), [['document', 'a.png'], ['document', 'n.md']]);
});

test('quotes, forwards and what the chat says of itself', async () => {
  fake.post(ADA, { text: 'mine', forward_origin: { type: 'user', sender_user: GRACE }, reply_to_message: { message_id: 1, from: GRACE, text: 'a long text' }, quote: { text: 'long', position: 2 } });
  fake.post(ADA, { new_chat_members: [GRACE] });
  await page.getByText('Grace joined').waitFor();
  assert.equal(await page.locator('.quoted').textContent(), 'long');
  assert.equal(await page.locator('.forwarded').textContent(), 'Forwarded from Grace');
});

test('a rich message is headings, lists and tables, and nothing in it runs', async () => {
  fake.post(ADA, { rich_message: { html: '<h2>Head</h2><ul><li>one &lt;b&gt;</li></ul><table><tr><th>a</th></tr></table><a href="javascript:alert(1)">no</a> <a href="https://example.com/?a=1&amp;b=2">yes</a><script>alert(1)</script><img src="x"/>' } });
  const rich = page.locator('.rich');
  await rich.waitFor();
  assert.equal(await rich.locator('h3').textContent(), 'Head');
  assert.equal(await rich.locator('li').textContent(), 'one <b>');
  assert.deepEqual(await rich.locator('a').evaluateAll((all) => all.map((a) => a.getAttribute('href'))), ['https://example.com/?a=1&b=2']);
  assert.equal(await rich.locator('script, img, b').count(), 0);
});
