// What the app says where it cannot be used: outside Telegram, or opened too long ago.

import assert from 'node:assert/strict';
import { APP_URL, newContext, OLD_INIT_DATA, sentTo, shot, sound, step } from './kit.mjs';
import { forgive } from './person.mjs';
import { openApp } from './telegram.mjs';

export async function outside(browser) {
  await step('outside Telegram it says so', async () => {
    const context = await newContext(browser, 'phone');
    const page = await context.newPage();
    await page.goto(`${APP_URL}/webapp/`);
    await page.locator('.outside .blank').waitFor();
    await sound(page.mainFrame(), 'outside');
    await shot(page, 'outside');
    await context.close();
  });
  await step('data of more than an hour ago asks to open it again', async () => {
    const context = await newContext(browser, 'phone');
    const { page, frame } = await openApp(context, { url: `${APP_URL}/webapp/`, initData: OLD_INIT_DATA });
    await frame.locator('.outside .button').click();
    assert.equal((await sentTo(page, 'web_app_close')).length, 1);
    forgive(/status of 401/); // what this was about
    await shot(page, 'again');
    await context.close();
  });
}
