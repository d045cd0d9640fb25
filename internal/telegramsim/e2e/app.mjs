// Steps in the Mini App, where the server has one: opened from the menu, paid in, closed.

import { id, newest, reply, shoot, step, stepMs } from './walking.mjs';

/** The frame of the Mini App that is open, once it has said that it is ready. */
export async function opened(page) {
  await page.waitForSelector(`${id('mini-app')}[data-state=ready]`, { timeout: stepMs });
  const handle = await page.locator(id('mini-app-frame')).elementHandle();
  return handle.contentFrame();
}

export async function closeApp(page) {
  await page.locator(id('mini-app-close')).click({ timeout: stepMs });
  await page.waitForSelector(id('mini-app'), { state: 'detached', timeout: stepMs });
}

/** Walks through it; does nothing where the menu button opens the list of commands. */
export async function miniApp(page) {
  const user = Number(await page.evaluate(() => new URL(location.href).searchParams.get('user')));
  const state = await page.evaluate(async (who) => (await fetch(`/sim/state?user=${who}`)).json(), user);
  if (state.menu_button.type !== 'web_app') return;
  await step('Mini App: opened from the menu', async () => {
    await page.locator(id('menu-button')).click({ timeout: stepMs });
    const frame = await opened(page);
    // Whom it is signed for has an account, and the app is let in to it.
    await frame.waitForFunction(() => /\$\d/.test(document.body.innerText), null, { timeout: stepMs });
    await shoot(page, 'app');
    return { words: (await frame.locator('body').innerText()).slice(0, 120) };
  });
  await step('Mini App: its screens', async () => {
    const frame = await opened(page);
    const tabs = frame.locator('nav button');
    const names = await tabs.allTextContents();
    for (let i = 0; i < names.length; i += 1) {
      await tabs.nth(i).click({ timeout: stepMs });
      await frame.waitForFunction((at) => document.querySelectorAll('nav button')[at].getAttribute('aria-current') !== null, i, { timeout: stepMs });
      await shoot(page, `app-${names[i].trim().toLowerCase()}`);
    }
    return { names };
  });
  await step('Mini App: topped up with pretend Stars', async () => {
    const before = await newest(page);
    const frame = await opened(page);
    await frame.locator('nav button').first().click({ timeout: stepMs });
    await frame.getByRole('button', { name: 'Top up' }).first().click({ timeout: stepMs });
    await page.locator(id('mini-app-main')).click({ timeout: stepMs });
    await page.locator(id('pay-confirm')).waitFor({ timeout: stepMs });
    await shoot(page, 'app-pay');
    await page.locator(id('pay-confirm')).click({ timeout: stepMs });
    await page.waitForSelector(id('pay-sheet'), { state: 'detached', timeout: stepMs });
    const answer = await reply(page, before, /\$\d/);
    await shoot(page, 'app-paid');
    return { answer: answer.text };
  });
  await step('Mini App: closed', async () => {
    await closeApp(page);
    return {};
  });
}
