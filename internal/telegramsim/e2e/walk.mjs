// Walks through the chat page as a newcomer does: Start, a message that streams
// and says its cost, /balance, /newkey, a call to the API with that key, /keys.
//
//   PAGE_URL   the chat page                              (required)
//   API_URL    the API's base, without /v1                (required)
//   COST       what a cost line looks like                (/\$0\.\d+/)
//   MODEL      for the API call; "" takes the first listed ("")
//   TOPUP      Stars to top up with in the end            (none)
//   SHOTS      a folder for screenshots                   (none are taken)
//   TOUR       1: then every command of the menu and every button they offer (none)
//   PERSON     the name of a new person to walk as        (the page's own)
//   STEP_MS    how long one step may take                 (20000)
//   CHROMIUM   the browser
//
// Prints one line of JSON. Where a step fails it says which and why, and exits
// with 1.

import { miniApp } from './app.mjs';
import { launch, SIZES } from './browser.mjs';
import { media } from './media.mjs';
import { rooms } from './rooms.mjs';
import { tour } from './tour.mjs';
import { WalkError, botMessages, env, id, listCommands, newest, reply, results, say, shoot, step, stepMs } from './walking.mjs';

const cost = new RegExp(env('COST', '\\$0\\.\\d+'));

async function openPage(page) {
  await page.goto(env('PAGE_URL'), { timeout: stepMs });
  await page.waitForSelector(`${id('app')}[data-state=online]`, { timeout: stepMs });
  if (!env('PERSON', '')) return;
  await page.locator(id('user-menu')).click();
  await page.locator(id('user-name')).fill(env('PERSON'));
  await page.locator(id('user-name')).press('Enter');
  await page.waitForFunction(([selector, name]) => document.querySelector(selector)?.getAttribute('aria-label')?.includes(name),
    [id('user-menu'), env('PERSON')], { timeout: stepMs });
}

async function pressStart(page) {
  await shoot(page, 'start');
  const before = await newest(page);
  await page.locator(id('start')).click({ timeout: stepMs });
  const welcome = await reply(page, before);
  await shoot(page, 'welcome');
  return { welcome: welcome.text };
}

/** Sends a message; the draft must grow, and end in exactly one answer. */
async function chat(page, text) {
  // The watcher is there before the message is, so that no frame escapes it.
  await page.evaluate((selector) => {
    window.draftTexts = [];
    const look = () => {
      const shown = document.querySelector(`${selector} [data-testid=message-text]`)?.textContent;
      if (shown && shown !== window.draftTexts.at(-1)) window.draftTexts.push(shown);
    };
    window.draftWatcher = new MutationObserver(look);
    window.draftWatcher.observe(document.body, { subtree: true, childList: true, characterData: true });
  }, id('draft'));
  const before = await say(page, text);
  await page.waitForFunction(() => window.draftTexts.length >= 2, null, { timeout: stepMs })
    .catch(() => { throw new Error(`the draft did not grow: fewer than two different texts within ${stepMs} ms`); });
  await shoot(page, 'streaming');
  const answer = await reply(page, before, cost);
  await page.waitForSelector(id('draft'), { state: 'detached', timeout: stepMs });
  const frames = await page.evaluate(() => {
    window.draftWatcher.disconnect();
    return window.draftTexts;
  });
  const grown = frames.filter((frame, i) => i > 0 && frame.length > frames[i - 1].length).length;
  if (grown === 0) throw new Error('the draft changed but never grew');
  const finals = await page.locator(botMessages).evaluateAll((all, above) => all.filter((m) => Number(m.dataset.messageId) > above).length, before);
  if (finals !== 1) throw new Error(`${finals} messages answer one question`);
  await shoot(page, 'answer');
  return { frames: frames.length, answer: answer.text, cost: cost.exec(answer.text)[0] };
}

async function callApi(key) {
  const base = env('API_URL').replace(/\/+$/, '');
  const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
  const timeout = () => AbortSignal.timeout(stepMs);
  let model = env('MODEL', '');
  if (!model) {
    const listed = await fetch(`${base}/v1/models`, { headers, signal: timeout() });
    const body = await listed.json();
    if (!listed.ok) throw new Error(`GET /v1/models: status ${listed.status}: ${JSON.stringify(body.error ?? body)}`);
    model = body.data[0].id;
  }
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: 'POST', headers, signal: timeout(),
    body: JSON.stringify({ model, max_tokens: 64, messages: [{ role: 'user', content: 'Say hello.' }] }),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`POST /v1/chat/completions: status ${response.status}: ${JSON.stringify(body.error ?? body)}`);
  const spent = response.headers.get('x-cost-usd');
  if (!spent || !/^\d+(\.\d+)?$/.test(spent) || Number(spent) <= 0) throw new Error(`the header X-Cost-USD is ${JSON.stringify(spent)}, not an amount above zero`);
  if (!body.choices?.[0]?.message?.content) throw new Error('the answer has no content');
  return { model, cost_usd: spent, usage: body.usage };
}

/** Asks for an invoice, pays it, and waits until the bot says what it was worth. */
async function topUp(page, stars) {
  const before = await say(page, `/topup ${stars}`);
  const invoice = page.locator(`${botMessages}:has(${id('invoice')})`).last();
  await invoice.waitFor({ timeout: stepMs });
  await shoot(page, 'invoice');
  await invoice.locator('[data-kind=pay]').click({ timeout: stepMs });
  await page.locator(id('pay-confirm')).waitFor({ timeout: stepMs });
  await shoot(page, 'pay');
  await page.locator(id('pay-confirm')).click({ timeout: stepMs });
  await page.waitForSelector(id('pay-sheet'), { state: 'detached', timeout: stepMs });
  const receipt = await page.locator(id('receipt')).last().textContent({ timeout: stepMs });
  const shown = Number(await invoice.getAttribute('data-message-id'));
  const answer = await reply(page, Math.max(before, shown), /\$\d/);
  await shoot(page, 'paid');
  return { receipt, answer: answer.text };
}

async function walk(page) {
  let key = '';
  await step('open the page', () => openPage(page));
  await step('press Start', () => pressStart(page));
  await step('chat', () => chat(page, env('MESSAGE', 'Hello! What can you do for me?')));
  await step('chat again', async () => {
    const before = await say(page, env('SECOND_MESSAGE', 'And what did I ask you before?'));
    const answer = await reply(page, before, cost);
    return { answer: answer.text };
  });
  await step('/balance', async () => {
    await page.waitForSelector(id('draft'), { state: 'detached', timeout: stepMs });
    const before = await newest(page);
    await page.locator(id('composer')).fill('/bal');
    await page.locator(`${id('command-item')}[data-command=balance]`).click({ timeout: stepMs });
    const answer = await reply(page, before, /\$\d/);
    return { answer: answer.text };
  });
  await step('/newkey', async () => {
    const before = await say(page, '/newkey test');
    const answer = await reply(page, before, /kk_\d+_[0-9A-Za-z_]{20,}/);
    key = /kk_\d+_[0-9A-Za-z_]{20,}/.exec(answer.text)[0];
    await shoot(page, 'key');
    return { key_length: key.length };
  });
  await step('call the API', () => callApi(key));
  await step('/keys', async () => {
    const before = await say(page, '/keys');
    const answer = await reply(page, before, /test/);
    if (answer.text.includes(key)) throw new Error('the list of keys shows a whole key');
    await shoot(page, 'keys');
    return { answer: answer.text };
  });
  await step('open the command list', async () => {
    await listCommands(page);
    const count = await page.locator(id('command-item')).count();
    if (count === 0) throw new Error('the bot has no commands');
    await shoot(page, 'commands');
    await page.keyboard.press('Escape');
    return { commands: count };
  });
  if (env('TOPUP', '')) await step('top up', () => topUp(page, env('TOPUP')));
  if (env('TOUR', '')) {
    await media(page);
    await rooms(page, cost);
    await miniApp(page);
    await tour(page);
  }
  if (results.console.length) throw new WalkError(`the page complains: ${results.console[0]}`);
}

async function main() {
  for (const name of ['PAGE_URL', 'API_URL']) if (!process.env[name]) throw new WalkError(`${name} is not set`);
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: SIZES.desktop, colorScheme: 'light' });
    page.on('console', (message) => {
      // What stands in a frame is another's page, with tests of its own.
      if (!message.location().url.startsWith(new URL(env('PAGE_URL')).origin)) return;
      if (['error', 'warning'].includes(message.type())) results.console.push(message.text());
    });
    page.on('pageerror', (error) => results.console.push(String(error)));
    await walk(page);
  } finally {
    await browser.close();
  }
}

try {
  await main();
  console.log(JSON.stringify({ ok: true, ...results }));
} catch (error) {
  console.log(JSON.stringify({ ok: false, error: error.message, ...results }));
  console.error(error instanceof WalkError ? `walk: ${error.message}` : error);
  process.exitCode = 1;
}
