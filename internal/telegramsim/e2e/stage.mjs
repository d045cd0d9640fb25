// A chat page in a real browser before a stand-in, anew for each test of a file.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import { launch, SIZES } from './browser.mjs';
import { Fake } from './fake.mjs';

export const ADA = 1001;
export const STEP_MS = 30000;
export const id = (name) => `[data-testid=${name}]`;

// stage gives each test { fake, page } through take; where `path` is given, Ada
// has started the bot and its page is open there. Whatever the page complains of fails the
// test that it was opened for, but for what that test calls the function for that stage gives
// back: answers that it had the stand-in fail.
export function stage(take, path) {
  let browser;
  let it;
  let failing;
  before(async () => { browser = await launch(); });
  after(async () => { await browser?.close(); });
  beforeEach(async () => {
    const fake = await new Fake({ frameMs: 15 }).listen();
    const page = await browser.newPage({ viewport: SIZES.desktop });
    const complaints = [];
    failing = false;
    page.setDefaultTimeout(STEP_MS);
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (m) => m.type() === 'error' && complaints.push(m.text()));
    take({ fake, page });
    it = { fake, page, complaints };
    if (path !== undefined) {
      fake.chats.get(ADA).started = true;
      await openPage(it, path);
    }
  });
  afterEach(async () => {
    await it.page.close();
    await it.fake.close();
    assert.deepEqual(it.complaints.filter((c) => !failing || !c.startsWith('Failed to load resource')), []);
  });
  return () => { failing = true; };
}

// openPage opens the page at a path and waits until it hears of what happens.
export async function openPage({ fake, page }, path = '/') {
  await page.goto(fake.url + path);
  await page.waitForSelector(`${id('app')}[data-state=online]`);
}
