// What is odd and must work all the same: two tabs of one person, clocks that are wrong, zones
// whose days are not 24 hours.
//
//   PAST      calls around days on which clocks are turned: [{"at": "RFC 3339", "nano": 1}, …]
//   PAST_KEY  an API key of the account that has made them, and no others
//   PAST_DATA INIT_DATA of that account's owner

import assert from 'node:assert/strict';
import { amounts, api, APP_URL, balance, call, INIT_DATA, nano, newContext, sentTo, settings, settled, shot, step, sum, tab, until } from './kit.mjs';
import { openApp, pressLast, pressMain } from './telegram.mjs';

const { PAST, PAST_KEY, PAST_DATA } = process.env;
const HOUR = 3_600_000; // ms
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe'];

const open = (context) => openApp(context, { url: `${APP_URL}/webapp/`, initData: INIT_DATA });

/** What is done in one tab is seen in the other. */
export async function twoTabs(browser) {
  await settings({ language: 'en', time_zone: null });
  const context = await newContext(browser, 'phone');
  const [one, other] = [await open(context), await open(context)];
  for (const { frame } of [one, other]) {
    await frame.locator('.hero .sum').waitFor();
    await frame.locator('.live-dot:not(.off)').waitFor();
  }
  await step('two tabs: both show what a call leaves', async () => {
    await call();
    const now = await balance();
    for (const { frame } of [one, other]) {
      await until('the balance on the screen', () => nano(frame.locator('.hero .sum')), (shown) => shown === now);
    }
  });
  await step('two tabs: a key that is made in one is in the other, and gone when it is revoked', async () => {
    await tab(one.frame, 2);
    await tab(other.frame, 2);
    await other.frame.locator('.title-row').waitFor();
    await one.frame.locator('.title-row .icon-button').click();
    await one.frame.locator('.field input').first().fill('tabbed');
    await pressMain(one.page);
    await one.frame.locator('.secret').waitFor();
    await pressLast(one.page, one.frame);
    const row = other.frame.locator('.rows .row', { hasText: 'tabbed' });
    await row.waitFor();
    await one.frame.locator('.rows .row', { hasText: 'tabbed' }).click();
    await one.frame.locator('.row.danger').click();
    await one.page.locator('#popup-yes').click();
    await row.waitFor({ state: 'detached' });
  });
  await step('two tabs: a setting that is changed in one shows in the other', async () => {
    await tab(one.frame, 4);
    await tab(other.frame, 4);
    const [mine, theirs] = [one.frame.locator('.switch').first(), other.frame.locator('.switch').first()];
    await theirs.waitFor();
    const before = await theirs.isChecked();
    await mine.click();
    await until('the other switch', () => theirs.isChecked(), (on) => on !== before);
    await shot(other.page, 'two-tabs');
  });
  await context.close();
}

/** A device whose clock is an hour off, either way. */
export async function wrongClock(browser) {
  await settings({ language: 'en', time_zone: 'UTC' });
  for (const ahead of [HOUR, -HOUR]) {
    const context = await newContext(browser, 'phone', { ahead });
    await step(`a clock ${ahead / HOUR} h ahead: all is told as it is`, async () => {
      const { page, frame } = await open(context);
      await frame.locator('.hero .sum').waitFor();
      await frame.locator('.live-dot:not(.off)').waitFor();
      await call();
      const now = await balance();
      await until('the balance on the screen', () => nano(frame.locator('.hero .sum')), (shown) => shown === now);
      await tab(frame, 1);
      await frame.locator('.totals').waitFor();
      await settled(frame);
      // The day of a clock that is wrong may be another one than the server's: the last
      // thirty by that clock are what is told.
      const today = await frame.evaluate(() => new Date().toISOString().slice(0, 10));
      const from = new Date(Date.parse(today) - 29 * 24 * HOUR).toISOString().slice(0, 10);
      const told = async () => (await api(`/api/v1/usage?tz=UTC&from=${from}&to=${today}`)).body.total.cost_nano_usd;
      await until('the card', async () => (await nano(frame.locator('.spend-head .sum'))) - (await told()), (difference) => difference === 0);
      assert.equal((await sentTo(page, 'web_app_close')).length, 0);
    });
    await context.close();
  }
}

/** Rows add up to the card, the card to the ledger, and each day to the calls of that day as
    clocks show it, in zones with half hours and on days on which clocks are turned. */
export async function zones(browser) {
  const calls = JSON.parse(PAST);
  const days = calls.map(({ at }) => at.slice(0, 10)).sort();
  const [from, to] = [shift(days[0], -1), shift(days.at(-1), 1)];
  for (const zone of ZONES) {
    await step(`${zone}: rows, card and ledger are one sum`, async () => {
      await api('/api/v1/settings', { key: PAST_KEY, method: 'PATCH', body: { language: 'en', time_zone: zone } });
      const context = await newContext(browser, 'phone');
      const { page, frame } = await openApp(context, { url: `${APP_URL}/webapp/`, initData: PAST_DATA, query: `?at=activity&from=${from}&to=${to}` });
      await frame.locator('.totals').waitFor();
      await settled(frame);
      // The account's zone comes with its settings, a moment after the device's was used.
      await frame.waitForFunction((n) => document.querySelector('.totals dd')?.textContent === String(n), calls.length);
      const whole = sum(calls.map(({ nano: each }) => each));
      await until('the card', () => nano(frame.locator('.spend-head .sum')), (shown) => shown === whole);
      const rows = frame.locator('section:has(.segments) .rows');
      for (const cut of ['model', 'key', 'day']) {
        await frame.locator(`.segments input[value=${cut}]`).check();
        await settled(frame);
        assert.equal(sum(await amounts(rows)), whole, `by ${cut}`);
      }
      const spent = new Map();
      for (const { at, nano: each } of calls) {
        const day = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(new Date(at));
        spent.set(day, (spent.get(day) ?? 0) + each);
      }
      const newest = [...spent.keys()].sort().reverse();
      await until('each day', () => amounts(rows), (shown) => JSON.stringify(shown) === JSON.stringify(newest.map((day) => spent.get(day))));
      const { body } = await api(`/api/v1/usage?from=${from}&to=${to}&tz=${encodeURIComponent(zone)}`, { key: PAST_KEY });
      assert.equal(body.total.cost_nano_usd, whole);
      await shot(page, `days-in-${zone.replace('/', '-')}`);
      await context.close();
    });
  }
}

function shift(day, n) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + n * 24 * HOUR).toISOString().slice(0, 10);
}
