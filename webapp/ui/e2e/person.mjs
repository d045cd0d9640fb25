// Uses the app as a person would: every screen and every action, in one size, theme and
// language. `thorough` is with the rarer actions, too.

import assert from 'node:assert/strict';
import { amounts, api, APP_URL, balance, call, faults, fits, INIT_DATA, nano, newContext, PAY_URL, sentTo, settings, settled, shot, sound, step, sum, tab, until, wordsOf } from './kit.mjs';
import { openApp, pressLast, pressMain, roomy, tell, THEMES } from './telegram.mjs';

/** One person's way through the app. */
export function person({ size, theme, language, thorough }) {
  return async (browser) => {
    await settings({ language, time_zone: null, show_cost: true });
    const context = await newContext(browser, size);
    const { page, frame } = await openApp(context, { url: `${APP_URL}/webapp/`, initData: INIT_DATA, theme });
    await page.exposeFunction('pay', async (slug) => (await fetch(PAY_URL, { method: 'POST', body: `https://t.me/$${slug}` })).ok);
    const name = `${size}-${theme}-${language}`;
    const walk = {
      page, frame, language, words: wordsOf(language), thorough,
      step: (what, work) => step(`${name}: ${what}`, work),
      /** Looks at what is shown: axe, its width, a picture. */
      look: async (what) => {
        await sound(frame, `${name}, ${what}`);
        await fits(frame, `${name}, ${what}`);
        await shot(page, `${name}-${what.replaceAll(' ', '-')}`);
      },
    };
    await frame.waitForFunction((wanted) => document.documentElement.lang === wanted, language);
    for (const part of [home, activity, playground, topUp, live, transactions, keys, choices]) await part(walk);
    await context.close();
  };
}

async function home({ page, frame, step, look, thorough }) {
  await step('home shows the balance', async () => {
    await frame.locator('.hero .sum').waitFor();
    await settled(frame);
    assert.equal(await nano(frame.locator('.hero .sum')), await balance());
    assert.ok((await sentTo(page, 'web_app_ready')).length > 0);
    await frame.locator('#chart-container svg .bar path').first().waitFor();
    await look('home');
  });
  await step('a bar tells its day', async () => {
    const all = await frame.locator('.spend-head .sum').textContent();
    const chart = frame.locator('#chart-container [role=slider]');
    await chart.press('Home');
    assert.notEqual(await frame.locator('.spend-head .when').textContent(), '');
    assert.match(await chart.getAttribute('aria-valuetext'), /: .*\$/);
    await chart.press('Escape');
    assert.equal(await frame.locator('.spend-head .sum').textContent(), all);
  });
  if (!thorough) return;
  await step('today and thirty days', async () => {
    for (const span of ['1', '30']) {
      await frame.locator(`.segments input[value="${span}"]`).check();
      await settled(frame);
      await look(`home ${span}`);
    }
  });
}

async function activity({ frame, step, look, page, words, thorough }) {
  const rowsOfCut = frame.locator('section:has(.segments) .rows');
  await step('rows, card and bill are one sum', async () => {
    await tab(frame, 1);
    await frame.locator('.totals').waitFor();
    await settled(frame);
    const card = await nano(frame.locator('.spend-head .sum'));
    for (const cut of ['model', 'key', 'day']) {
      await frame.locator(`.segments input[value=${cut}]`).check();
      await settled(frame);
      assert.equal(sum(await amounts(rowsOfCut)), card, `by ${cut}`);
    }
    const zone = await frame.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
    const { body } = await api(`/api/v1/usage?tz=${zone}`);
    assert.ok(card > 0);
    assert.equal(card, body.total.cost_nano_usd);
    await look('activity');
  });
  await step('filters stand in the address', async () => {
    await frame.locator('.chip').nth(1).click();
    await look('filter');
    await frame.locator('dialog .row').nth(1).click();
    await frame.waitForFunction(() => new URLSearchParams(location.search).get('model') !== null);
    await settled(frame);
    await frame.locator('.chip').nth(1).click();
    await frame.locator('dialog .row').first().click();
  });
  if (!thorough) return;
  await step('a range of one\'s own, and of a key', async () => {
    await frame.locator('.chip').first().click();
    const [from, to] = [frame.locator('dialog input[type=date]').first(), frame.locator('dialog input[type=date]').nth(1)];
    await from.fill('2026-11-02');
    await to.fill('2026-11-01');
    await frame.locator('dialog .wrong').waitFor();
    await look('range');
    await from.fill('2025-12-01');
    await to.fill('2026-11-01');
    await frame.locator('dialog button[type=submit]').click();
    await frame.waitForFunction(() => new URLSearchParams(location.search).get('from') === '2025-12-01');
    await settled(frame);
    await look('activity of a year');
    await frame.locator('.chip').first().click();
    await frame.locator('dialog .presets .chip').nth(1).click();
    await frame.locator('.chip').nth(2).click();
    await frame.locator('dialog .row', { hasText: 'e2e' }).click();
    await frame.waitForFunction(() => new URLSearchParams(location.search).get('key') !== null);
    await settled(frame);
    await frame.locator('.chip').nth(2).click();
    await page.keyboard.press('Escape');
    await frame.locator('dialog').waitFor({ state: 'detached' });
  });
  await step('the file is sent to the chat', async () => {
    await frame.locator('.row.act', { hasText: words['export.title'] }).click();
    await frame.locator('.notice', { hasText: words['export.sent'] }).waitFor();
  });
}

async function playground({ frame, step, look, thorough }) {
  const answered = frame.locator('.composer button[type=submit]');
  await step('a question is answered and paid for', async () => {
    const before = await balance();
    await tab(frame, 3);
    if (thorough) await look('playground empty');
    await frame.locator('.composer textarea').fill('Hello there');
    await frame.locator('.composer button').click();
    await frame.locator('.bubble-foot [data-nano]').waitFor();
    await answered.waitFor();
    const cost = await nano(frame.locator('.bubble-foot [data-nano]').last());
    await until('the balance is less by the cost', balance, (now) => before - now === cost);
    await look('playground');
  });
  if (!thorough) return;
  await step('another model is asked, stopped, and forgotten', async () => {
    await frame.locator('.play-top .chip').click();
    await look('models');
    await frame.locator('dialog .row', { hasText: 'slow' }).click();
    await frame.locator('.composer textarea').fill('Take your time');
    await frame.locator('.composer button').click();
    await frame.locator('.bubble.waiting').waitFor();
    await frame.locator('.bubble.waiting', { hasText: /\w/ }).waitFor();
    await frame.locator('.composer button[type=button]').click();
    await answered.waitFor();
    await look('playground stopped');
    await frame.locator('.play-top .icon-button').click();
    await frame.locator('.examples').waitFor();
    await until('nothing is held', async () => (await api('/api/v1/balance')).body.held_nano_usd, (held) => held === 0);
  });
}

async function topUp({ page, frame, step, look, thorough }) {
  await step('Stars top up', async () => {
    await tab(frame, 0);
    const before = await balance();
    await frame.locator('.action.main').click();
    if (thorough) {
      await frame.locator('.field input').fill('0');
      await frame.locator('.wrong').waitFor();
      await look('top-up wrong');
    }
    await frame.locator('.amount').first().click();
    await look('top-up');
    await pressMain(page);
    const [{ slug }] = await until('an invoice is opened', () => sentTo(page, 'web_app_open_invoice'), (all) => all.length > 0);
    assert.equal(await page.evaluate((name) => globalThis.pay(name), slug), true);
    await tell(page, 'invoice_closed', { slug, status: 'paid' });
    await roomy(page, frame);
    const after = await until('the balance has grown', balance, (now) => now > before);
    await until('home shows it', async () => {
      await tab(frame, 1);
      await tab(frame, 0);
      await frame.locator('.hero .sum').waitFor();
      return nano(frame.locator('.hero .sum'));
    }, (shown) => shown === after);
  });
}

async function live({ frame, step }) {
  await step('a call of a program is seen as it happens', async () => {
    await frame.locator('.live-dot:not(.off)').waitFor();
    const seen = await frame.locator('.rows .row').count();
    await call();
    const now = await balance();
    await until('the balance on the screen', () => nano(frame.locator('.hero .sum')), (shown) => shown === now);
    await until('the call on the screen', () => frame.locator('.rows .row').count(), (rows) => rows > seen || rows === 8);
  });
}

async function transactions({ page, frame, step, look, words }) {
  await step('transactions show it', async () => {
    await frame.locator('.row', { hasText: words['transactions.title'] }).click();
    await frame.locator('.rows .row', { hasText: words['transactions.top_up'] }).first().waitFor();
    await frame.locator('.segments input[value=all]').check();
    await frame.locator('.rows .row', { hasText: 'exact' }).first().waitFor();
    await look('transactions');
    await page.locator('#back').click();
    await frame.locator('.hero').waitFor();
  });
}

/** Telegram is told to ask before it closes the app, or no longer to. */
const guarded = (page, on) => until('closing is guarded', () => sentTo(page, 'web_app_setup_closing_behavior'), (told) => told.at(-1)?.need_confirmation === on);

async function keys({ page, frame, step, look, words, thorough }) {
  const fields = frame.locator('.field input');
  let secret = '';
  await step('a key is made, shown once, and works', async () => {
    await tab(frame, 2);
    await frame.locator('.title-row .icon-button').click();
    await fields.first().fill('walked');
    await fields.nth(1).fill('nonsense');
    await pressMain(page);
    await frame.locator('.wrong').waitFor();
    await fields.nth(1).fill('2,50');
    if (thorough) {
      await fields.nth(3).fill('60');
      await frame.locator('.row.act').click();
      await frame.locator('dialog .row', { hasText: 'exact' }).click();
    }
    await look('new key');
    await pressMain(page);
    secret = await frame.locator('.secret').inputValue();
    assert.match(secret, /^kk_/);
    assert.equal((await api('/api/v1/balance', { key: secret })).status, 200);
    await guarded(page, true);
    await frame.locator('.row.act').first().click(); // the clipboard is blocked here
    await frame.locator('.section-foot', { hasText: words['copy.blocked'] }).waitFor();
    assert.equal(await frame.evaluate(() => getSelection().toString()), secret);
    await look('key shown');
    await pressLast(page, frame);
    await frame.locator('.rows .row', { hasText: 'walked' }).waitFor();
    await guarded(page, false);
    assert.ok(!(await frame.content()).includes(secret), 'the secret stays on the page');
    await look('keys');
  });
  await step('a key is changed and revoked', async () => {
    await frame.locator('.rows .row', { hasText: 'walked' }).click();
    await fields.nth(2).fill('1');
    await look('key');
    await pressLast(page, frame);
    await until('the budget is changed', async () => (await api('/api/v1/keys')).body.keys.find((key) => key.name === 'walked')?.budget.day_usd, (budget) => budget === '1.00');
    await frame.locator('.row.danger').click();
    await page.locator('#popup-no').click();
    assert.equal((await api('/api/v1/balance', { key: secret })).status, 200);
    await frame.locator('.row.danger').click();
    await page.locator('#popup-yes').click();
    await frame.locator('.title-row').waitFor();
    await until('the key is refused', async () => (await api('/api/v1/balance', { key: secret })).status, (status) => status === 401);
    assert.equal(await frame.locator('.rows .row', { hasText: 'walked' }).count(), 0);
  });
}

async function choices({ frame, step, look, language, words, thorough }) {
  const row = (key) => frame.locator('.row', { hasText: words[key] }).first();
  await step('settings are kept, the language turns the page', async () => {
    await tab(frame, 4);
    const switches = frame.locator('.switch');
    await switches.first().waitFor();
    for (const n of thorough ? [0, 1, 2, 3, 4] : [0]) {
      const before = JSON.stringify(await settings());
      await switches.nth(n).click();
      await until(`switch ${n} is kept`, async () => JSON.stringify(await settings()), (now) => now !== before);
    }
    await row('settings.zone').click();
    await frame.locator('dialog input[type=search]').fill('kolkata');
    await frame.locator('dialog .row').first().click();
    await until('the zone is kept', async () => (await settings()).time_zone, (zone) => zone === 'Asia/Kolkata');
    await look('settings');
    if (thorough) {
      await frame.locator('.row', { hasText: words['settings.forget'] }).click();
      await look('forget');
      await frame.locator('dialog .row').nth(2).click();
      await until('how long a chat is remembered', async () => (await settings()).forget_after_seconds, (seconds) => seconds === 21_600);
    }
    const other = language === 'ar' ? { name: 'English', tag: 'en', dir: 'ltr' } : { name: 'العربية', tag: 'ar', dir: 'rtl' };
    await row('settings.language').click();
    await frame.locator('dialog .row', { hasText: other.name }).click();
    await frame.waitForFunction(({ tag, dir }) => document.documentElement.dir === dir && document.documentElement.lang === tag, other);
    await until('the language is kept', async () => (await settings()).language, (kept) => kept === other.tag);
  });
}

/** All screens are there and sound, the theme changing while they are looked at. */
export function glance({ size, theme, language }) {
  return async (browser) => {
    await settings({ language });
    const context = await newContext(browser, size);
    const { page, frame } = await openApp(context, { url: `${APP_URL}/webapp/`, initData: INIT_DATA });
    const name = `${size}-${theme}-${language}`;
    await step('the theme changes while it is looked at', async () => {
      await frame.waitForFunction((wanted) => document.documentElement.lang === wanted, language);
      await tell(page, 'theme_changed', { theme_params: THEMES[theme] });
      await frame.waitForFunction((wanted) => document.documentElement.dataset.scheme === wanted, theme);
    });
    for (const [n, screen] of ['home', 'activity', 'keys', 'play', 'settings'].entries()) {
      await step(`${name}: ${screen}`, async () => {
        await tab(frame, n);
        await frame.locator('main').waitFor();
        await settled(frame);
        await fits(frame, `${name}, ${screen}`);
        await sound(frame, `${name}, ${screen}`);
        await shot(page, `${name}-${screen}`);
      });
    }
    await context.close();
  };
}

/** Forgets what the page wrote down of answers that were to be refused. */
export function forgive(pattern) {
  faults.splice(0, faults.length, ...faults.filter((fault) => !pattern.test(fault)));
}
