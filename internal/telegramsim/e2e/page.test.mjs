// The chat page in a real browser, against a stand-in that makes things happen.

import assert from 'node:assert/strict';
import test from 'node:test';
import { lowContrast } from './contrast.mjs';
import { compose } from './fake.mjs';
import { ADA, id, openPage, stage } from './stage.mjs';

let fake;
let page;
const answersFail = stage((it) => ({ fake, page } = it));

async function open({ started = true } = {}) {
  fake.chats.get(ADA).started = started;
  await openPage({ fake, page });
}

const last = () => page.locator(id('message')).last();
const texts = () => page.locator(id('message-text')).allTextContents();
const textIs = (selector, text) => page.waitForFunction(([s, t]) => [...document.querySelectorAll(s)].some((n) => n.textContent.includes(t)), [selector, text]);

test('every entity is shown as what it is, and model text is never markup', async () => {
  await open();
  fake.post(ADA, compose(
    ['bold', 'bold'], ' ', ['italic', 'italic'], ' ', ['underline', 'under'], ' ', ['strikethrough', 'struck'], ' ', ['code', 'x = 1'], '\n',
    ['pre', 'print("hi")', { language: 'python' }], '\n', ['text_link', 'site', { url: 'https://example.com/' }], ' ', ['text_link', 'bad', { url: 'javascript:alert(1)' }], ' ',
    ['url', 'example.org'], ' ', ['email', 'a@b.example'], ' ', ['mention', '@ada'], ' ', ['hashtag', '#tag'], ' ', ['spoiler', 'secret'], '\n',
    ['blockquote', 'quoted'], '\n', '<img src=x onerror=alert(1)> <script>alert(2)</script> & "quotes"'));
  await textIs(id('message-text'), '<img src=x onerror=alert(1)> <script>alert(2)</script> & "quotes"');
  const node = last();
  for (const [selector, text] of Object.entries({ strong: 'bold', em: 'italic', u: 'under', s: 'struck', 'code.code': 'x = 1', 'pre code': 'print("hi")', blockquote: 'quoted', '.spoiler': 'secret' })) {
    assert.equal(await node.locator(`${id('message-text')} ${selector}`).textContent(), text, selector);
  }
  const links = await node.locator('a').evaluateAll((all) => all.map((a) => [a.textContent, a.getAttribute('href'), a.rel]));
  assert.deepEqual(links, [['site', 'https://example.com/', 'noopener noreferrer'], ['example.org', 'https://example.org/', 'noopener noreferrer'], ['a@b.example', 'mailto:a@b.example', 'noopener noreferrer']]);
  assert.equal(await node.locator('img, script').count(), 0);
  const spoiler = node.locator('.spoiler');
  assert.equal(await spoiler.getAttribute('role'), 'button');
  await spoiler.press('Enter');
  assert.match(await spoiler.getAttribute('class'), /shown/);
});

test('Start, a streamed answer, and the same chat after a reload', async () => {
  await open({ started: false });
  await page.locator(id('start')).click();
  await textIs(id('message-text'), 'Welcome');
  await page.locator(id('composer')).fill('Hello');
  await page.keyboard.press('Enter');
  await page.waitForSelector(`${id('draft')} .caret`);
  await textIs(`${id('message')} ${id('message-text')}`, '$0.000035');
  await page.waitForSelector(id('draft'), { state: 'detached' });
  await textIs(`${id('message')} ${id('message-text')}`, 'Hello');
  const before = await texts();
  assert.equal(before.length, 4);
  await page.reload();
  await textIs(id('message-text'), '$0.000035');
  assert.deepEqual(await texts(), before);
});

test('a chat opens at its beginning before Start, and at its newest message after it', async () => {
  const place = () => page.locator('#scroller').evaluate((n) => ({ top: n.scrollTop, left: Math.round(n.scrollHeight - n.clientHeight - n.scrollTop) }));
  await page.setViewportSize({ width: 390, height: 420 }); // lower than the list of commands
  await open({ started: false });
  await page.waitForSelector('#intro:not([hidden])');
  let at = await place();
  assert.equal(at.top, 0, 'what the bot is, is read from its beginning');
  assert.ok(at.left > 0, 'the list is too short for this test');
  await page.locator('#scroller').evaluate((n) => { n.scrollTop = n.scrollHeight; });
  await page.waitForFunction(() => document.getElementById('scroller').scrollTop > 0);
  assert.ok(await page.locator('#to-end').isHidden());

  await page.locator(id('start')).click();
  await textIs(id('message-text'), 'Welcome');
  for (let i = 0; i < 12; i += 1) fake.post(ADA, compose(`line ${i}`));
  await textIs(id('message-text'), 'line 11');
  assert.ok(await last().isVisible());
  await page.reload();
  await textIs(id('message-text'), 'line 11');
  at = await place();
  assert.ok(at.top > 0 && at.left <= 1, `${at.left} px of the newest message are not seen`);
  await page.waitForFunction((composer) => document.activeElement === document.querySelector(composer), id('composer'));
});

test('Shift+Enter makes a line, Enter sends it whole', async () => {
  await open();
  await page.locator(id('composer')).focus();
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await textIs(id('message-text'), 'one\ntwo');
  assert.equal(await page.locator(id('composer')).inputValue(), '');
});

test('commands: slash filters, arrows choose, Tab completes, Enter sends, Escape closes', async () => {
  await open();
  const items = page.locator(id('command-item'));
  await page.locator(id('composer')).fill('/');
  assert.equal(await items.count(), 5);
  await page.locator(id('composer')).fill('/k');
  assert.deepEqual(await items.evaluateAll((all) => all.map((n) => n.dataset.command)), ['keys']);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator(id('command-list')).isVisible(), false);
  await page.locator(id('composer')).fill('/');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await textIs(id('message-text'), '/balance');
  await page.locator(id('composer')).fill('/new');
  await page.keyboard.press('Tab');
  assert.equal(await page.locator(id('composer')).inputValue(), '/newkey ');
  await page.locator(id('composer')).fill('');
  await page.locator(id('menu-button')).click();
  assert.equal(await items.count(), 5);
  await page.locator(`${id('command-item')}[data-command=keys]`).click();
  await textIs(id('message-text'), 'Your keys');
});

test('a command inside a message is sent by a press', async () => {
  await open();
  fake.post(ADA, compose('Try ', ['bot_command', '/balance']));
  await last().getByRole('button', { name: '/balance' }).click();
  await textIs(id('message-text'), 'Available:');
});

test('buttons: toast, alert, busy until answered', async () => {
  await open();
  fake.post(ADA, 'Choose', { reply_markup: { inline_keyboard: [[{ text: 'Note', callback_data: 'note' }, { text: 'Alert', callback_data: 'alert:1' }]] } });
  await page.getByRole('button', { name: 'Note' }).click();
  await textIs(id('toast'), 'You pressed note.');
  await page.getByRole('button', { name: 'Alert' }).click();
  await textIs(id('alert'), 'You pressed alert:1.');
  await page.keyboard.press('Escape');
  await page.waitForSelector(id('alert'), { state: 'detached' });
  await page.waitForSelector('[aria-busy=true]', { state: 'detached' });
  assert.equal(fake.presses, 2);
});

test('copying falls back to a field where the clipboard is closed', async () => {
  await open();
  await page.evaluate(() => { Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.reject(new Error('closed')) } }); });
  fake.post(ADA, 'Key', { reply_markup: { inline_keyboard: [[{ text: 'Copy', copy_text: { text: 'kk_1_secret' } }]] } });
  await page.locator(id('inline-button')).click();
  const field = page.locator(id('copy-field'));
  assert.equal(await field.inputValue(), 'kk_1_secret');
  assert.equal(await field.evaluate((n) => n.value.slice(n.selectionStart, n.selectionEnd)), 'kk_1_secret');
});

test('a draft is stopped by its button, and an expired one goes away', async () => {
  await open();
  fake.setDraft(ADA, '');
  await textIs(id('draft'), 'Thinking');
  fake.setDraft(ADA, 'Half an answ');
  await textIs(id('draft'), 'Half an answ');
  await page.locator(id('stop')).click();
  await page.waitForSelector(id('draft'), { state: 'detached' });
  assert.equal(fake.chats.get(ADA).draft, null);
  fake.setDraft(ADA, 'No stop here', { can_stop: false, draft_id: 8 });
  await textIs(id('draft'), 'No stop here');
  assert.equal(await page.locator(id('stop')).count(), 0);
  fake.endDraft(ADA, 'expired');
  await page.waitForSelector(id('draft'), { state: 'detached' });
});

test('edits, deletions and replies', async () => {
  await open();
  const { message_id } = fake.post(ADA, 'first words');
  await textIs(id('message-text'), 'first words');
  fake.edit(ADA, message_id, { text: 'better words' });
  await textIs(id('message-text'), 'better words');
  assert.match(await last().textContent(), /edited/);
  await last().hover();
  await last().getByRole('button', { name: 'What to do' }).click();
  await page.getByRole('menuitem', { name: 'Reply' }).click();
  await page.locator(id('composer')).fill('my reply');
  await page.keyboard.press('Enter');
  await textIs('.quoted', 'better words');
  await textIs(`${id('message')}[data-from=bot]`, '$0.000035');
  await page.locator(id('composer')).press('ArrowUp');
  assert.equal(await page.locator(id('composer')).inputValue(), 'my reply');
  await page.locator(id('composer')).fill('my better reply');
  await page.keyboard.press('Enter');
  await textIs(id('message-text'), 'my better reply');
  fake.emit(ADA, 'delete', { message_id });
  await page.waitForFunction((s) => ![...document.querySelectorAll(s)].some((n) => n.textContent === 'better words'), id('message-text'));
});

test('a broken stream is said, and mended with what was missed', async () => {
  answersFail();
  await open();
  fake.post(ADA, 'before');
  await textIs(id('message-text'), 'before');
  fake.down = true;
  fake.cutReaders();
  await page.waitForSelector(`${id('app')}[data-state=lost]`);
  assert.match(await page.locator(id('banner')).textContent(), /lost/);
  fake.post(ADA, 'meanwhile');
  fake.down = false;
  await page.waitForSelector(`${id('app')}[data-state=online]`);
  await textIs(id('message-text'), 'meanwhile');
  assert.equal(await page.locator(id('banner')).isVisible(), false);
  fake.post(ADA, 'after');
  await textIs(id('message-text'), 'after');
  assert.deepEqual(await texts(), ['before', 'meanwhile', 'after']);
});

test('the page waits for a simulator that is not there yet', async () => {
  answersFail();
  fake.down = true;
  await page.goto(fake.url);
  await page.waitForSelector(`${id('app')}[data-state=lost]`);
  fake.down = false;
  await page.waitForSelector(`${id('app')}[data-state=online]`);
});

test('a silent bot is explained', async () => {
  await open();
  fake.setPending(ADA, 2, 'Connection refused');
  await textIs(id('banner'), '2 updates wait for the bot: Connection refused');
  fake.setPending(ADA, 0);
  await page.waitForSelector(id('banner'), { state: 'hidden' });
});

test('people: switch, add, and each has a chat of their own', async () => {
  fake.addUser('Grace', 1002);
  fake.chats.get(1002).started = true;
  await open();
  fake.post(ADA, 'for Ada');
  await textIs(id('message-text'), 'for Ada');
  await page.locator(id('user-menu')).click();
  await page.locator(id('user-item')).filter({ hasText: 'Grace' }).click();
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 0, id('message'));
  fake.post(1002, 'for Grace');
  fake.post(ADA, 'not for Grace');
  await textIs(id('message-text'), 'for Grace');
  assert.deepEqual(await texts(), ['for Grace']);
  await page.reload();
  await textIs(id('message-text'), 'for Grace');
  await page.locator(id('user-menu')).click();
  await page.locator(id('user-name')).fill('Edsger');
  await page.keyboard.press('Enter');
  await textIs(id('user-menu'), 'Edsger');
  await page.waitForSelector(id('start'));
});

test('blocking shows the way back', async () => {
  await open();
  await page.locator(id('user-menu')).click();
  await page.locator(id('block')).click();
  await textIs(id('start'), 'Unblock');
  await page.locator(id('start')).click();
  await page.waitForSelector(id('composer'));
});

test('a reply keyboard sends its words', async () => {
  await open();
  fake.emit(ADA, 'keyboard', { keyboard: { keyboard: [[{ text: 'Yes' }, { text: 'No' }]], one_time_keyboard: true, input_field_placeholder: 'Yes or no?' } });
  await page.waitForSelector(id('reply-keyboard'));
  assert.equal(await page.locator(id('composer')).getAttribute('placeholder'), 'Yes or no?');
  await page.getByRole('button', { name: 'Yes', exact: true }).click();
  await textIs(id('message-text'), 'Yes');
  await page.waitForSelector(id('reply-keyboard'), { state: 'hidden' });
});

test('reading above, the list stays, counts and returns', async () => {
  for (let i = 0; i < 260; i += 1) fake.post(ADA, `line ${i}`);
  await open();
  assert.equal(await page.locator(id('message')).count(), 200);
  await page.locator('#scroller').evaluate((n) => { n.scrollTop = 0; });
  await page.getByRole('button', { name: 'Earlier messages' }).click();
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 260, id('message'));
  await page.waitForSelector('#to-end:not([hidden])');
  const top = await page.locator('#scroller').evaluate((n) => n.scrollTop);
  fake.post(ADA, 'news');
  await textIs('#to-end', '1');
  assert.equal(await page.locator('#scroller').evaluate((n) => n.scrollTop), top);
  await page.locator('#to-end').click();
  await page.waitForFunction(() => {
    const s = document.getElementById('scroller');
    return s.scrollHeight - s.scrollTop - s.clientHeight < 2;
  });
});

test('text over the limit is counted, and a refused message comes back', async () => {
  answersFail();
  await open();
  await page.locator(id('composer')).fill('x'.repeat(4100));
  await textIs('.count.over', '-4');
  fake.down = true;
  await page.keyboard.press('Enter');
  await page.waitForSelector(`${id('toast')}[data-kind=error]`);
  assert.equal((await page.locator(id('composer')).inputValue()).length, 4100);
});

test('the keyboard alone reaches everything', async () => {
  await open();
  fake.post(ADA, compose('Key: ', ['code', 'kk_1']), { reply_markup: { inline_keyboard: [[{ text: 'Go', callback_data: 'go' }]] } });
  await page.waitForSelector(id('inline-button'));
  const reached = new Set();
  await page.evaluate(() => document.activeElement.blur());
  for (let i = 0; i < 14; i += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.className));
  }
  for (const want of ['user-menu', 'composer', 'menu-button', 'inline-button', 'message-menu icon-button', 'code']) assert.ok(reached.has(want), `${want} in ${[...reached]}`);
});

for (const colorScheme of ['light', 'dark']) {
  test(`contrast is at least 4.5 to 1 (${colorScheme})`, async () => {
    await page.emulateMedia({ colorScheme });
    await open();
    const { message_id } = fake.post(ADA, compose('Text ', ['code', 'code'], ' ', ['bot_command', '/help'], ['pre', 'x', { language: 'go' }], ['blockquote', 'q']), {
      reply_markup: { inline_keyboard: [[{ text: 'Go', callback_data: 'go' }]] },
    });
    fake.post(ADA, { text: 'Mine /keys', entities: [{ type: 'bot_command', offset: 5, length: 5 }], reply_to_message: { message_id, from: { first_name: 'KikuAI' }, text: 'Text' } }, { own: true });
    fake.setDraft(ADA, 'Drafting');
    fake.setPending(ADA, 1, 'refused');
    await page.waitForSelector(`${id('banner')}:not([hidden])`);
    await page.locator(id('composer')).fill('/');
    await page.locator(id('user-menu')).evaluate((n) => n.click());
    assert.deepEqual(await lowContrast(page), []);
  });
}

test('nothing is wider than a small phone', async () => {
  await page.setViewportSize({ width: 320, height: 568 });
  await open();
  fake.post(ADA, compose('A'.repeat(300), ' ', ['url', `https://example.com/${'b'.repeat(200)}`], ['pre', 'c'.repeat(200)]), {
    reply_markup: { inline_keyboard: [[{ text: 'A rather long label', callback_data: 'a' }, { text: 'Another long label', callback_data: 'b' }]] },
  });
  await page.waitForSelector(id('inline-button'));
  const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter((n) => !n.closest('.pre pre, .sr-only') && n.getBoundingClientRect().right > innerWidth + 0.5).map((n) => n.className || n.tagName));
  assert.deepEqual(wide, []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
});

test('a strict content policy is kept', async () => {
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => window.violations.push(e.violatedDirective));
  });
  await open();
  fake.setDraft(ADA, 'text');
  await page.waitForSelector(id('draft'));
  await page.locator(id('user-menu')).click();
  assert.deepEqual(await page.evaluate(() => window.violations), []);
});
