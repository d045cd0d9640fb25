// What the walks share: a browser that keeps nothing and notes what goes wrong, the account as
// its API tells it, axe, pictures, and waiting for what is to come.
//
//   APP_URL   where KikuAI serves, such as http://127.0.0.1:8080
//   INIT_DATA signed for a person with some money and some calls; OLD_INIT_DATA an hour old
//   API_KEY   of the same account: what the screens show is compared with what it reads
//   PAY_URL   a POST there with an invoice's link pays it
//   SHOTS     a folder for pictures, or nothing

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { launch, SIZES } from './browser.mjs';

export const { APP_URL, INIT_DATA, OLD_INIT_DATA, API_KEY, PAY_URL, SHOTS } = process.env;
export const STEP = 30_000; // ms
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const steps = [];
export const faults = [];
let shots = 0;

export async function step(name, work) {
  try {
    await work();
    steps.push(name);
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
}

/** Asks the account API, or with a body changes something by it. */
export async function api(path, { key = API_KEY, method = 'GET', body } = {}) {
  const answer = await fetch(APP_URL + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

export const balance = async () => (await api('/api/v1/balance')).body.available_nano_usd;
export const settings = async (wish) => (await api('/api/v1/settings', wish ? { method: 'PATCH', body: wish } : {})).body;

export async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${String(++shots).padStart(3, '0')}-${name}.png`) });
}

/** What the app says in a language, by the names of the sentences. */
export function wordsOf(language) {
  return JSON.parse(readFileSync(new URL(`../src/text/locales/${language}.json`, import.meta.url), 'utf8'));
}

/** A browser window that keeps nothing, copies nothing, and writes down what goes wrong. `ahead`
    is how many milliseconds its clock is ahead of the others'. */
export async function newContext(browser, size, { ahead = 0 } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], reducedMotion: 'reduce' });
  context.setDefaultTimeout(STEP);
  await context.addInitScript((ms) => {
    const blocked = { get: () => { throw new DOMException('blocked', 'SecurityError'); } };
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches']) Object.defineProperty(window, name, blocked);
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.reject(new DOMException('blocked', 'NotAllowedError')) } });
    document.execCommand = () => false;
    if (ms === 0) return;
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...given) {
        super(...(given.length > 0 ? given : [Real.now() + ms]));
      }
      static now() {
        return Real.now() + ms;
      }
    };
  }, ahead);
  context.on('weberror', (error) => faults.push(`error on the page: ${error.error().message}`));
  context.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
  return context;
}

/** Holds what is shown against axe's rules. */
export async function sound(frame, where) {
  if (!(await frame.evaluate(() => 'axe' in globalThis))) await frame.evaluate(AXE);
  const found = await frame.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, help, nodes } of found.violations) faults.push(`${where}: ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
}

/** Nothing is wider than the window. */
export async function fits(frame, where) {
  const [wide, window] = await frame.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (wide > window) faults.push(`${where}: scrolls sideways, ${wide} of ${window} pixels`);
}

export const tab = (frame, n) => frame.locator('.tab').nth(n).click();
export const nano = async (locator) => Number(await locator.getAttribute('data-nano'));
export const settled = (frame) => frame.waitForFunction(() => !document.querySelector('[aria-busy="true"], .bone'));
export const sentTo = (page, type) => page.evaluate((wanted) => globalThis.sent.filter((each) => each.type === wanted).map((each) => each.event), type);
export const sum = (all) => all.reduce((whole, each) => whole + each, 0);

/** The amounts of a list of rows. */
export const amounts = (rows) => rows.locator('[data-nano]').evaluateAll((all) => all.map((each) => Number(each.dataset.nano)));

/** Waits until what is asked for is as it should be. */
export async function until(what, ask, good) {
  const end = Date.now() + STEP;
  for (;;) {
    const value = await ask();
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`${what}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Calls a model with the key, as a program would. */
export async function call(text = 'seen?') {
  const answer = await fetch(`${APP_URL}/v1/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${API_KEY}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'exact', max_tokens: 200, messages: [{ role: 'user', content: text }] }),
  });
  if (answer.status !== 200) throw new Error(`a call is answered ${answer.status}`);
}

/** Takes the walks in turn in one browser, prints {"ok", "steps", "faults"}, and exits 1 where
    something went wrong. A walk that fails does not keep the next from being taken. */
export async function walkAll(...walks) {
  const browser = await launch();
  try {
    for (const walk of walks) {
      await walk(browser).catch((error) => faults.push(error.message));
      for (const context of browser.contexts()) await context.close();
    }
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify({ ok: faults.length === 0, steps, faults }, null, 1));
  process.exit(faults.length === 0 ? 0 : 1);
}
