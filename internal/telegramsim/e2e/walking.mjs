// What the walks share: their steps, what they say and hear, their screenshots.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SIZES } from './browser.mjs';

export const env = (name, fallback) => process.env[name] || fallback;
export const stepMs = Number(env('STEP_MS', '20000'));
const shots = env('SHOTS', '');
export const results = { steps: [], screenshots: [], console: [] };

export class WalkError extends Error {}

/** Runs one step; its failure is told with the step's name. */
export async function step(name, work) {
  const began = performance.now();
  try {
    const detail = await work();
    results.steps.push({ step: name, ms: Math.round(performance.now() - began), ...detail });
  } catch (error) {
    throw new WalkError(`${name}: ${error.message.split('\n')[0]}`);
  }
}

export const id = (name) => `[data-testid=${name}]`;
export const botMessages = `${id('message')}[data-from=bot]`;

/** The highest message id on the page; new messages have higher ones. */
export const newest = (page) => page.locator(id('message')).evaluateAll((all) => Math.max(0, ...all.map((m) => Number(m.dataset.messageId))));

/** Waits for a bot message above an id whose text matches, and returns it. */
export async function reply(page, after, pattern = /./s) {
  const found = await page.waitForFunction(([selector, above, source, flags]) => {
    for (const node of document.querySelectorAll(selector)) {
      const text = node.querySelector('[data-testid=message-text]')?.textContent ?? '';
      if (Number(node.dataset.messageId) > above && new RegExp(source, flags).test(text)) return { text, id: Number(node.dataset.messageId) };
    }
    return null;
  }, [botMessages, after, pattern.source, pattern.flags], { timeout: stepMs }).catch(async () => {
    const texts = await page.locator(id('message-text')).allTextContents();
    throw new Error(`no answer of the bot that matches ${pattern} within ${stepMs} ms; the chat's last lines: ${JSON.stringify(texts.slice(-3)).replaceAll(/kk_\w+/g, 'kk_…')}`);
  });
  return found.jsonValue();
}

/** Opens the list of commands, by whichever button does. */
export async function listCommands(page) {
  const own = page.locator(id('slash-button'));
  await (await own.isVisible() ? own : page.locator(id('menu-button'))).click({ timeout: stepMs });
}

export async function say(page, text) {
  const before = await newest(page);
  await page.locator(id('composer')).fill(text);
  await page.locator(id('composer')).press('Enter');
  return before;
}

/** Waits, inside a frame, until what has just changed looks as it will stay. */
async function settled() {
  for (let frames = 0; frames < 3; frames++) await new Promise(requestAnimationFrame);
  await Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished));
}

export async function shoot(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  const viewport = page.viewportSize();
  for (const [size, box] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(box);
      await page.emulateMedia({ colorScheme });
      const path = join(shots, `${name}-${size}-${colorScheme}.png`);
      for (const frame of page.frames()) await frame.evaluate(settled);
      await page.screenshot({ path, animations: 'disabled' });
      results.screenshots.push(path);
    }
  }
  await page.setViewportSize(viewport);
  await page.emulateMedia({ colorScheme: 'light' });
}
