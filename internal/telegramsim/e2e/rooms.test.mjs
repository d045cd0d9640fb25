// Topics, inline mode, quoting, albums and forced replies on the chat page, against the stand-in.

import assert from 'node:assert/strict';
import test from 'node:test';
import { SIZES } from './browser.mjs';
import { lowContrast } from './contrast.mjs';
import { ADA, id, stage, STEP_MS } from './stage.mjs';

let fake;
let page;
stage((it) => ({ fake, page } = it), '/');

const textIs = (selector, text) => page.waitForFunction(([s, t]) => [...document.querySelectorAll(s)].some((n) => n.textContent.includes(t)), [selector, text]);
const texts = () => page.locator(`${id('message')} ${id('message-text')}`).allTextContents();
const readable = async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await lowContrast(page), []);
  }
};
const typed = async (text) => {
  for (const end = Date.now() + STEP_MS; asked('type').at(-1)?.text !== text;) {
    if (Date.now() > end) throw new Error(`the bot was never asked ${text}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
};
const asked = (action) => fake.asked.filter(([name]) => name === action).map(([, body]) => body);

test('topics: made, switched, each with its own messages, drafts and count of news', async () => {
  fake.post(ADA, 'outside');
  await page.locator(id('user-menu')).click();
  await page.locator(id('topic-name')).fill('Cooking');
  await page.keyboard.press('Enter');
  await page.waitForSelector(`${id('topic')}[aria-selected=true]:has-text("Cooking")`);
  const thread = fake.chats.get(ADA).topics[0].thread;
  await page.locator(id('composer')).fill('How long do eggs take?');
  await page.keyboard.press('Enter');
  await textIs(id('message-text'), 'How long');
  assert.equal(asked('send').at(-1).thread, thread);
  assert.deepEqual(await texts(), ['How long do eggs take?']);
  await textIs(`${id('topic')}[data-thread="0"]`, '1'); // the stand-in answers outside
  fake.setDraft(ADA, 'not here');
  fake.post(ADA, 'news outside');
  await textIs(`${id('topic')}[data-thread="0"]`, '2');
  assert.equal(await page.locator(id('draft')).count(), 0);
  await readable();
  await page.locator(`${id('topic')}[data-thread="0"]`).click();
  await textIs(id('draft'), 'not here');
  assert.equal((await texts()).includes('How long do eggs take?'), false);
  assert.equal(await page.locator(`${id('topic')} .badge`).count(), 0);
  await page.locator(`${id('topic')}[data-thread="0"]`).press('ArrowRight');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator(`${id('topic')}[aria-selected=true]`).textContent(), 'Cooking');
  fake.chats.get(ADA).topics = [];
  fake.emit(ADA, 'topics', { topics: [] });
  await page.waitForSelector('#topics', { state: 'hidden' });
  await textIs(id('message-text'), 'outside');
});

test('inline mode: asked at rest, offered, chosen; Enter alone sends the words', async () => {
  await page.locator(id('composer')).pressSequentially('@ki');
  await page.locator(id('mention-item')).click();
  assert.equal(await page.locator(id('composer')).inputValue(), '@kikuai_dev_bot ');
  await page.locator(id('composer')).pressSequentially('why is it blue');
  await textIs(id('inline-results'), 'Asking');
  await typed('why is it blue');
  assert.equal(asked('type').at(-1).chat_type, 'sender');
  fake.offers = { results: [{ type: 'article', id: 'one', title: 'Ask: <b>why</b>', description: 'answered by sim' }, { type: 'article', id: 'two', title: 'Another' }], cache_time: 0, is_personal: true, next_offset: '', button: { text: 'Open KikuAI', start_parameter: 'inline' } };
  fake.emit(ADA, 'inline_answer', { callback_query_id: `q${fake.asked.findLastIndex(([name]) => name === 'type') + 1}` });
  await page.locator(id('inline-result')).first().waitFor();
  assert.match(await page.locator(id('inline-result')).first().textContent(), /Ask: <b>why<\/b>/);
  await readable();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await textIs(id('via'), 'via @kikuai_dev_bot');
  assert.deepEqual(asked('choose').map((c) => c.result), ['two']);
  await page.locator(id('inline-results')).waitFor({ state: 'hidden' });
  await page.waitForFunction((s) => document.querySelector(s).value === '', id('composer'));
  await page.locator(id('composer')).fill('@kikuai_dev_bot just words');
  await page.keyboard.press('Enter');
  await textIs(id('message-text'), '@kikuai_dev_bot just words');
});

test('the button above what is offered starts the bot', async () => {
  await page.locator(id('composer')).fill('@kikuai_dev_bot x');
  await typed('x');
  fake.offers = { results: [], button: { text: 'Open KikuAI', start_parameter: 'inline' } };
  fake.emit(ADA, 'inline_answer', { callback_query_id: `q${fake.asked.findLastIndex(([name]) => name === 'type') + 1}` });
  await page.locator(id('inline-button-above')).click();
  await textIs(id('message-text'), '/start');
  assert.equal(asked('start').at(-1).payload, 'inline');
});

test('marked words are quoted where they stand, across entities and blocks', async () => {
  fake.post(ADA, { text: 'one two\nx = 1\none two', entities: [{ type: 'bold', offset: 4, length: 3 }, { type: 'pre', offset: 8, length: 5 }] });
  await textIs(id('message-text'), 'one two');
  await page.evaluate((selector) => {
    const node = document.querySelector(selector);
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    let last;
    while (walker.nextNode()) last = walker.currentNode;
    const range = document.createRange();
    range.setStart(last, last.textContent.indexOf('one'));
    range.setEnd(last, last.textContent.indexOf('one') + 4);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }, id('message-text'));
  await page.locator(id('quote')).click();
  assert.equal(await page.locator(id('context-text')).textContent(), 'one');
  await page.locator(id('composer')).fill('which one?');
  await readable();
  await page.keyboard.press('Enter');
  await textIs(id('message-text'), 'which one?');
  const { quote, quote_at: at } = asked('send').at(-1);
  assert.deepEqual([quote, at], ['one', 14]);
  assert.equal(await page.locator(id('quote')).isVisible(), false);
});

test('an album is one bubble with its caption, and loses what is deleted', async () => {
  const photo = (n) => ({ media_group_id: 'a', photo: [{ file_id: `p${n}`, width: 40, height: 30 }] });
  const ids = [photo(1), { ...photo(2), caption: 'the second says it' }, photo(3)].map((content) => fake.post(ADA, content).message_id);
  await page.locator(`${id('album')} .tile`).nth(2).waitFor();
  assert.equal(await page.locator(id('message')).count(), 1);
  assert.equal(await page.locator(id('message-text')).textContent(), 'the second says it');
  fake.chats.get(ADA).messages = fake.chats.get(ADA).messages.filter((m) => m.message_id !== ids[0]);
  fake.emit(ADA, 'delete', { message_id: ids[0] });
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 2, `${id('album')} .tile`);
  await page.reload();
  await page.locator(`${id('album')} .tile`).nth(1).waitFor();
  assert.equal(await page.locator(id('message')).count(), 1);
  for (const file of ['a.zip', 'b.zip']) fake.post(ADA, { media_group_id: 'b', document: { file_id: file, file_name: file, file_size: 3 }, caption: `about ${file}` });
  await page.locator('.album-file').nth(1).waitFor();
  assert.deepEqual(await page.locator('.album-file .text').allTextContents(), ['about a.zip', 'about b.zip']);
  await readable();
});

test('what asks for words begins the reply to it, until it has them or is closed', async () => {
  const asks = fake.post(ADA, 'How many Stars?');
  const force = () => fake.emit(ADA, 'keyboard', { keyboard: { force_reply: true, input_field_placeholder: 'such as 250' }, message_id: asks.message_id });
  force();
  await textIs(id('context-text'), 'How many Stars?');
  assert.equal(await page.locator(id('composer')).getAttribute('placeholder'), 'such as 250');
  await page.locator(id('composer')).fill('60');
  await page.keyboard.press('Enter');
  await textIs('.quotation', 'How many Stars?');
  assert.equal(asked('send').at(-1).reply_to, asks.message_id);
  assert.equal(await page.locator(id('context-text')).isVisible(), false);
  force();
  await page.locator(id('context-close')).click();
  await page.waitForFunction((s) => document.querySelector(s).placeholder === 'Message', id('composer'));
  assert.equal(await page.locator('.context').isVisible(), false);
});

test('a window that changes its size does not lose the end', async () => {
  for (let i = 0; i < 40; i += 1) fake.post(ADA, `line ${i}: ${'words '.repeat(60)}`);
  await textIs(id('message-text'), 'line 39');
  const atEnd = () => page.waitForFunction(() => {
    const s = document.getElementById('scroller');
    return s.scrollHeight - s.scrollTop - s.clientHeight < 2;
  });
  await atEnd();
  for (const size of [SIZES.mobile, SIZES.desktop, { width: 320, height: 500 }]) {
    await page.setViewportSize(size);
    await atEnd();
    assert.equal(await page.locator('#to-end').isVisible(), false);
  }
  await page.locator('#scroller').evaluate((n) => { n.scrollTop = 0; });
  await page.waitForSelector('#to-end:not([hidden])');
  await page.locator(id('composer')).fill('my own words lead back');
  await page.keyboard.press('Enter');
  await atEnd();
  assert.equal(await page.locator('#to-end').isVisible(), false);
});
