// A Mini App in the page's frame, against the stand-in: what it is handed, told and may ask for.

import assert from 'node:assert/strict';
import test, { beforeEach } from 'node:test';
import { ADA, id, stage } from './stage.mjs';

let fake;
let page;
let app;
const answersFail = stage((it) => ({ fake, page } = it), '/');

beforeEach(async () => {
  fake.emit(ADA, 'menu_button', { menu_button: { type: 'web_app', text: 'Open', web_app: { url: `${fake.url}/app?a=1` } } });
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  await page.waitForSelector(`${id('mini-app')}[data-state=ready]`);
  app = page.frames().find((f) => f.url().includes('/app?a=1'));
});

const say = (type, data) => app.evaluate(([t, d]) => window.say(t, d), [type, data]);
const told = (text) => app.waitForFunction((t) => [...document.querySelectorAll('#told li')].some((n) => n.textContent.includes(t)), text);

test('it is handed signed data, the theme and the version behind the #, and told when they change', async () => {
  const handed = await app.locator('#handed').textContent();
  assert.match(handed, /^#tgWebAppData=user=%7B%22id%22%3A1001%7D&button=menu&hash=00&tgWebAppVersion=\d/);
  const theme = JSON.parse(/tgWebAppThemeParams=(\{.*\})/.exec(handed)[1]);
  assert.equal(theme.bg_color, '#ffffff');
  for (const [name, value] of Object.entries(theme)) assert.match(value, /^#[0-9a-f]{6}$/, name);
  await say('web_app_request_viewport');
  await told('"viewport_changed"');
  await page.emulateMedia({ colorScheme: 'dark' });
  await told('"bg_color":"#1b252f"');
  await say('web_app_request_safe_area');
  await told('"safe_area_changed"');
});

test('its buttons appear, act and disappear', async () => {
  await say('web_app_setup_main_button', { is_visible: true, is_active: true, text: 'Pay <b>', color: '#112233', text_color: '#ffffff' });
  const main = page.locator(id('mini-app-main'));
  assert.equal(await main.textContent(), 'Pay <b>');
  await main.click();
  await told('"main_button_pressed"');
  await say('web_app_setup_main_button', { is_visible: true, is_active: false, is_progress_visible: true, text: 'Pay' });
  await page.waitForSelector(`${id('mini-app-main')}[aria-busy=true]:disabled`);
  await say('web_app_setup_main_button', { is_visible: false });
  await main.waitFor({ state: 'hidden' });
  await say('web_app_setup_back_button', { is_visible: true });
  await page.locator(id('mini-app-back')).click();
  await told('"back_button_pressed"');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator(id('mini-app')).count(), 1);
});

test('a popup is answered by its button, and closing asks where something may be lost', async () => {
  await say('web_app_open_popup', { title: 'Revoke?', message: 'It stops at once.', buttons: [{ id: 'yes', type: 'destructive', text: 'Revoke' }, { id: 'no', type: 'cancel' }] });
  await page.locator(`${id('popup-button')}[data-button=yes]`).click();
  await told('{"eventType":"popup_closed","eventData":{"button_id":"yes"}}');
  await say('web_app_open_popup', { message: 'x', buttons: [{ id: 'a', type: 'ok' }] });
  await page.locator(id('popup')).waitFor();
  await page.keyboard.press('Escape');
  await told('{"eventType":"popup_closed","eventData":{}}');
  await say('web_app_setup_closing_behavior', { need_confirmation: true });
  await say('web_app_request_theme'); // told after what was said before it is heard
  await told('"theme_changed"');
  await page.locator(id('mini-app-close')).click();
  await page.locator(id('popup-button')).last().click();
  assert.equal(await page.locator(id('mini-app')).count(), 1);
  await page.locator(id('mini-app-close')).click();
  await page.locator(`${id('popup-button')}[data-button=close]`).click();
  await page.waitForSelector(id('mini-app'), { state: 'detached' });
});

test('an invoice is paid with pretend Stars, and what became of it is told', async () => {
  answersFail();
  fake.links.set('abc', { title: 'Credit', description: 'x', stars: 100 });
  await say('web_app_open_invoice', { slug: 'abc' });
  await page.locator(id('pay-confirm')).click();
  await told('{"slug":"abc","status":"paid"}');
  await say('web_app_open_invoice', { slug: 'abc' });
  await page.locator(id('pay-sheet')).waitFor();
  await page.keyboard.press('Escape');
  await told('{"slug":"abc","status":"cancelled"}');
  await say('web_app_open_invoice', { slug: 'none' });
  await told('{"slug":"none","status":"failed"}');
});

test('the commands keep a button of their own', async () => {
  await page.locator(id('mini-app-close')).click();
  await page.locator(id('slash-button')).click();
  await page.locator(`${id('command-item')}[data-command=balance]`).click();
  await page.waitForFunction((s) => [...document.querySelectorAll(s)].some((n) => n.textContent.includes('Available')), id('message-text'));
});

test('what others say is not heard, and what is unknown changes nothing', async () => {
  await page.evaluate(() => window.postMessage(JSON.stringify({ eventType: 'web_app_close' }), '*'));
  for (const [type, data] of [['web_app_trigger_haptic_feedback', { type: 'impact' }], ['toString', {}], ['constructor', {}], ['web_app_set_header_color', { color: 'url(x)' }], ['web_app_setup_main_button', null]]) await say(type, data);
  await app.evaluate(() => { parent.postMessage('{', '*'); parent.postMessage({ eventType: 'web_app_close' }, '*'); });
  await say('web_app_request_theme');
  await told('"theme_changed"');
  assert.equal(await page.locator(id('mini-app')).count(), 1);
  await say('web_app_switch_inline_query', { query: 'why' });
  await page.waitForSelector(id('mini-app'), { state: 'detached' });
  assert.equal(await page.locator(id('composer')).inputValue(), '@kikuai_dev_bot why');
});
