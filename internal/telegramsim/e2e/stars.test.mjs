// Paying in Stars on the chat page, in a real browser, against the stand-in.

import assert from 'node:assert/strict';
import test from 'node:test';
import { lowContrast } from './contrast.mjs';
import { ADA, id, openPage, stage } from './stage.mjs';

let fake;
let page;
const answersFail = stage((it) => ({ fake, page } = it));

async function open(path) {
  fake.chats.get(ADA).started = true;
  await openPage({ fake, page }, path);
}

const textIs = (selector, text) => page.waitForFunction(([s, t]) => [...document.querySelectorAll(s)].some((n) => n.textContent.includes(t)), [id(selector), text]);
const gone = (name) => page.waitForSelector(id(name), { state: 'detached' });
const payKey = () => page.locator('[data-kind=pay]').last();

test('an invoice is paid twice, each payment has its receipt, and a reload shows the same', async () => {
  await open();
  fake.invoice(ADA, 'Credit of $1.30', 100, '100 Stars of credit <b>');
  await textIs('invoice', '100 Stars of credit <b>');
  assert.equal(await payKey().textContent(), 'Pay 100');
  assert.equal(await payKey().locator('.star').count(), 1);
  for (const [left, said] of [[400, 'Paid'], [300, 'Paid 2 times']]) {
    await payKey().click();
    await textIs('pay-sheet', 'Do you want to buy Credit of $1.30 in KikuAI for 100 Stars?');
    await textIs('pay-balance', String(left + 100));
    await page.locator(id('pay-confirm')).click();
    await page.waitForSelector(`${id('pay-sheet')}[data-state=paid]`);
    await gone('pay-sheet');
    await textIs('invoice-paid', said);
  }
  assert.equal(fake.chats.get(ADA).stars, 300);
  const lines = async () => page.locator(id('receipt')).allTextContents();
  const want = Array(2).fill('You paid 100 Stars to KikuAI for Credit of $1.30');
  assert.deepEqual(await lines(), want);
  await page.reload();
  await textIs('invoice-paid', 'Paid 2 times');
  assert.deepEqual(await lines(), want);
});

test('progress, the bot\'s reason, its silence, and another try', async () => {
  answersFail();
  await open();
  fake.invoice(ADA, 'Credit', 100);
  let decide;
  fake.verdict = new Promise((resolve) => { decide = resolve; });
  await payKey().click();
  await page.locator(id('pay-confirm')).click();
  await textIs('pay-confirm', 'Waiting for KikuAI…');
  await page.locator(id('pay-confirm')).click(); // a second press pays nothing more
  decide([422, 'the bot refused the payment: This offer has expired.']);
  await textIs('pay-problem', 'KikuAI says: This offer has expired.');
  assert.equal(fake.pays, 1);
  fake.verdict = [504, 'BOT_PRECHECKOUT_TIMEOUT: the bot did not answer'];
  await page.locator(id('pay-confirm')).click();
  await textIs('pay-problem', 'did not answer in time. You paid nothing.');
  fake.verdict = null;
  await page.locator(id('pay-confirm')).click();
  await gone('pay-sheet');
  assert.equal(fake.chats.get(ADA).payments.length, 1);
});

test('too few Stars are said, and more can be had', async () => {
  fake.chats.get(ADA).stars = 20;
  await open();
  fake.invoice(ADA, 'Credit', 1500);
  await payKey().click();
  await page.locator(id('pay-confirm')).click();
  await textIs('pay-problem', '1,480 Stars more are needed.');
  await page.locator(id('pay-stars')).click();
  await textIs('pay-balance', '2,020');
  await page.locator(id('pay-confirm')).click();
  await gone('pay-sheet');
  assert.equal(fake.chats.get(ADA).stars, 520);
});

test('a receipt, a refund, and what the invoice says then', async () => {
  await open();
  fake.invoice(ADA, 'Credit', 100);
  await payKey().click();
  await page.locator(id('pay-confirm')).click();
  await gone('pay-sheet');
  await page.locator(id('receipt')).click();
  await textIs('receipt-sheet', 'stx0');
  await page.locator(id('refund-payment')).click();
  await textIs('receipt-amount', 'Refunded');
  assert.equal(await page.locator(id('refund-payment')).count(), 0);
  await page.keyboard.press('Escape');
  await gone('receipt-sheet');
  assert.equal(await page.locator(id('refund')).textContent(), 'KikuAI refunded you 100 Stars for Credit');
  assert.equal(await page.locator(id('invoice-paid')).count(), 0);
  await page.locator(id('refund')).click();
  await textIs('receipt-amount', 'Refunded');
});

test('a link to a subscription, from a text, a button and the address', async () => {
  answersFail();
  fake.links.set('plan_1-A', { title: 'Monthly', description: 'Credit each month', stars: 200, period: 2592000 });
  const link = 'https://t.me/$plan_1-A';
  await open();
  fake.post(ADA, { text: link, entities: [{ type: 'url', offset: 0, length: link.length }], reply_markup: { inline_keyboard: [[{ text: 'Subscribe now', url: link }]] } });
  await page.locator(`${id('message-text')} a`).click();
  await textIs('pay-sheet', 'Subscribe to Monthly in KikuAI for 200 Stars a month?');
  await page.keyboard.press('Escape');
  await gone('pay-sheet');
  await page.getByRole('button', { name: 'Subscribe now' }).click();
  await textIs('pay-confirm', '200 a month');
  await page.keyboard.press('Escape');
  await gone('pay-sheet');
  await open('/$plan_1-A');
  await textIs('pay-confirm', '200 a month');
  assert.equal(new URL(page.url()).searchParams.get('invoice'), null);
  await page.locator(id('pay-confirm')).click();
  await gone('pay-sheet');
  await open('/$nothing');
  await textIs('toast', 'no such invoice');

  await page.locator(id('receipt')).click();
  await textIs('subscription-status', 'Renews on');
  await page.locator(id('subscription-cancel')).click();
  await textIs('subscription-status', 'Cancelled; paid until');
  await page.locator(id('subscription-resume')).click();
  await textIs('subscription-status', 'Renews on');
  const first = await page.locator(id('subscription-status')).textContent();
  await page.locator(id('subscription-renew')).click();
  await page.waitForFunction(([s, t]) => document.querySelector(s).textContent !== t, [id('subscription-status'), first]);
});

test('My Stars: what there is, what was paid, and more of it', async () => {
  await open();
  fake.invoice(ADA, 'Credit', 100);
  await payKey().click();
  await page.locator(id('pay-confirm')).click();
  await gone('pay-sheet');
  await page.locator(id('user-menu')).click();
  await textIs('people-stars', '400');
  await page.locator(id('wallet-open')).click();
  await textIs('wallet', 'Credit');
  await page.locator(id('wallet-more')).click();
  await textIs('wallet-stars', '1,400');
  await page.locator('.wallet-entry').click();
  await page.waitForSelector(id('receipt-sheet'));
});

test('the keyboard alone pays', async () => {
  await open();
  fake.invoice(ADA, 'Credit', 100);
  await payKey().focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector(id('pay-sheet'));
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'pay-confirm');
  await page.keyboard.press('Enter');
  await gone('pay-sheet');
  assert.equal(fake.chats.get(ADA).payments.length, 1);
});

for (const colorScheme of ['light', 'dark']) {
  test(`contrast is at least 4.5 to 1, and nothing is wider than a small phone (${colorScheme})`, async () => {
    answersFail();
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 320, height: 568 });
    await open();
    const title = 'A title as long as a title may be';
    fake.invoice(ADA, title, 10000, 'd'.repeat(255));
    fake.chats.get(ADA).stars = 20000;
    fake.emit(ADA, 'stars', { stars: 20000 });
    await payKey().click();
    await page.locator(id('pay-confirm')).click();
    await gone('pay-sheet');
    fake.refund(fake.chats.get(ADA).payments[0].charge);
    await page.waitForSelector(id('refund'));
    const check = async (what) => {
      assert.deepEqual(await lowContrast(page), [], what);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, what);
    };
    await check('chat');
    fake.verdict = [422, `the bot refused the payment: ${'because '.repeat(20)}`];
    await payKey().click();
    await page.locator(id('pay-confirm')).click();
    await page.waitForSelector(`${id('pay-problem')}:not([hidden])`);
    await check('pay sheet');
    await page.keyboard.press('Escape');
    await page.locator(id('refund')).click();
    await page.waitForSelector(id('receipt-amount'));
    await check('receipt');
  });
}
