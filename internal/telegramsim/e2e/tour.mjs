// The tour: every command of the bot's menu, and every button under what it
// answers, pressed as a person presses it.

import { closeApp, opened } from './app.mjs';
import { lowContrast } from './contrast.mjs';
import { WalkError, env, id, listCommands, say, shoot, step, stepMs } from './walking.mjs';

const POLL_MS = 80;
const REST_MS = 250;                   // without a change, after which a chat is at rest
const PACE = { most: 100, ms: 60000 }; // commands and presses: the bot takes 120 in a minute
const MOST_PRESSES = 400;              // of one tour; more means that buttons breed
const MOST_ALIKE = 8;                  // days, models and pages of lists that are gone through, of each sort

// What a command is sent with beside its bare name.
const ARGUMENTS = {
  system: ['Answer in one short sentence.'],
  newkey: ['spare'],
  gift: ['0.1'],
  feedback: ['The tour was here.'],
  model: ['gpt'],
  usage: ['7'],
  topup: ['60'],
};

const AT_THE_END = ['deleteaccount']; // somebody else tries these

/** Goes through the menu of commands, then through the same screens in a script that runs from right to left. */
export async function tour(page) {
  const walker = new Walker(page);
  await walker.open();
  await step('tour: an edited question', () => walker.anew());
  await step('tour: a long answer', () => walker.follow(() => walker.ask('Write me a long story about a lighthouse.')));
  await step('tour: Stop', () => walker.stop());
  const commands = await walker.commands();
  for (const command of commands.filter((name) => !AT_THE_END.includes(name))) {
    for (const text of [`/${command}`, ...(ARGUMENTS[command] ?? []).map((more) => `/${command} ${more}`)]) {
      await step(`tour: ${text}`, () => walker.command(text));
    }
  }
  await step('tour: right to left', () => walker.rightToLeft());
  await step('tour: somebody else leaves', () => walker.leaveAsSomebodyElse());
}

class Walker {
  constructor(page) {
    this.page = page;
    this.base = new URL(env('PAGE_URL')).origin;
    this.seen = new Set(); // what buttons do that were pressed
    this.times = [];
  }

  async open() {
    this.user = Number(await this.page.evaluate(() => new URL(location.href).searchParams.get('user')));
    // Presses are answered in events, of which the page shows only what there is to see.
    await this.page.evaluate((user) => {
      window.tourAnswers?.close();
      window.tourAnswered = new Set();
      window.tourAnswers = new EventSource(`/sim/events?user=${user}`);
      window.tourAnswers.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (event.type === 'callback_answer') window.tourAnswered.add(event.callback_query_id);
      };
      return new Promise((resolve) => { window.tourAnswers.onopen = resolve; });
    }, this.user);
  }

  async state() {
    const response = await fetch(`${this.base}/sim/state?user=${this.user}`, { signal: AbortSignal.timeout(stepMs) });
    if (!response.ok) throw new Error(`GET /sim/state: status ${response.status}`);
    return response.json();
  }

  /**
   * Waits until the chat has come to rest, and the page shows it; returns the state. The bot takes updates before
   * it has handled them, so rest is when nothing is on its way and nothing has changed for a while; `begun` tells
   * what must have come before.
   */
  async settled(begun = () => true) {
    const until = Date.now() + stepMs;
    let last = '';
    let since = Date.now();
    for (;;) {
      const state = await this.state();
      const now = JSON.stringify([state.messages, state.draft]);
      if (now !== last) since = Date.now();
      last = now;
      const newest = state.messages.at(-1)?.message_id ?? 0;
      const shown = newest === 0 || await this.page.locator(`[data-message-id="${newest}"]`).count() > 0;
      const rests = state.pending === 0 && !state.draft && !state.typing && shown && begun(state);
      if (rests && Date.now() - since >= REST_MS) return state;
      if (Date.now() > until) throw new Error(`the bot has not finished within ${stepMs} ms; ${state.pending} updates wait: ${state.webhook.last_error_message}`);
      await pause(POLL_MS);
    }
  }

  // A person may send so many commands and presses in a minute.
  async pace() {
    const now = Date.now();
    this.times = this.times.filter((at) => now - at < PACE.ms);
    if (this.times.length >= PACE.most) await pause(PACE.ms - (now - this.times[0]) + POLL_MS);
    this.times.push(Date.now());
  }

  async commands() {
    await listCommands(this.page);
    const names = await this.page.locator(id('command-item')).evaluateAll((all) => all.map((n) => n.dataset.command));
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press('Escape');
    if (names.length === 0) throw new WalkError('the bot has no commands');
    return names;
  }

  ask(text) {
    return this.told('send', () => say(this.page, text));
  }

  /** Does something that calls the simulator, and waits until that has heard it; returns its answer. */
  async told(call, work) {
    const response = this.page.waitForResponse((r) => r.url().endsWith(`/sim/${call}`), { timeout: stepMs });
    await work();
    return (await response).json();
  }

  /** Sends a command; the bot must answer it, and what its buttons do must end well. */
  command(text) {
    return this.follow(() => this.ask(text));
  }

  /** Does something, looks at what came of it and presses all its buttons. */
  async follow(work) {
    const fresh = await this.answers(work);
    const pressed = [];
    await this.crawl(fresh, work, pressed);
    return { messages: fresh.length, pressed: pressed.length, buttons: pressed };
  }

  /** Does something that the bot answers; returns what it wrote and changed. */
  async answers(work) {
    await this.pace();
    const before = await this.settled();
    await work();
    const after = await this.settled(answerTo(before));
    await this.look();
    return fromBot(before, after);
  }

  async crawl(messages, work, pressed) {
    const queue = messages.flatMap((m) => keysOf(m, []));
    while (queue.length > 0) {
      const wanted = queue.shift();
      const { key, path } = wanted;
      if (this.seen.has(doing(key)) || reserved(key) || this.enough(key)) continue;
      this.seen.add(doing(key));
      if (this.seen.size > MOST_PRESSES) throw new Error(`more than ${MOST_PRESSES} different buttons`);
      const id = await this.reach(wanted, work);
      const came = id === null ? null : await this.press(id, key);
      if (!came) continue; // nothing leads there any more
      pressed.push(key.text);
      queue.push(...came.flatMap((m) => keysOf(m, [...path, key])));
    }
  }

  /** Finds the message that holds a button, going the way to it again where another screen took its place. */
  async reach({ message, key, path }, work) {
    const holds = (m, k) => keysOf(m).some((one) => doing(one.key) === doing(k));
    const now = (await this.settled()).messages.find((m) => m.message_id === message.message_id);
    if (now && holds(now, key)) return now.message_id;
    let screens = now ? [now] : [];
    let from = path.findLastIndex((k) => now && holds(now, k));
    if (from < 0) {
      screens = await this.answers(work);
      from = 0;
    }
    for (const k of path.slice(from)) {
      const at = screens.find((m) => holds(m, k));
      if (!at) break;
      screens = await this.press(at.message_id, k);
    }
    return screens.find((m) => holds(m, key))?.message_id ?? null;
  }

  // Lists have no end: of their entries a few are pressed.
  enough(key) {
    const sort = /^(usage:|model:|models:|set:\w+=)/.exec(key.callback_data ?? '')?.[0];
    return sort !== undefined && [...this.seen].filter((done) => done.startsWith(sort)).length >= MOST_ALIKE;
  }

  /** Presses one button; returns the messages that are new or changed, null where the button is gone. */
  async press(messageId, key) {
    const before = await this.settled();
    const message = before.messages.find((m) => m.message_id === messageId);
    const keys = message ? keysOf(message).map((k) => k.key) : [];
    // Two buttons may do the same; the words tell them apart, where they are still the same.
    const same = (k) => doing(k) === doing(key);
    const exact = keys.findIndex((k) => same(k) && k.text === key.text);
    const at = exact < 0 ? keys.findIndex(same) : exact;
    if (at < 0) return null;
    await this.pace();
    const node = this.page.locator(`[data-message-id="${messageId}"] ${id('inline-button')}`).nth(at);
    const words = await node.textContent({ timeout: stepMs });
    if (!key.pay && words !== keys[at].text) throw new Error(`the page shows “${words}” where the button says “${keys[at].text}”`);
    await this.act(node, key);
    const after = await this.settled(slow(key) ? answerTo(before) : undefined);
    await this.look(key.text);
    return fromBot(before, after);
  }

  async act(node, key) {
    const kind = await node.getAttribute('data-kind');
    if (kind === 'url') {
      if (!await node.getAttribute('title')) throw new Error(`“${key.text}” leads nowhere`);
    } else if (kind === 'copy_text') {
      await node.click({ timeout: stepMs });
      await this.page.locator(`${id('toast')}, ${id('copy-field')}`).last().waitFor({ timeout: stepMs });
      if (await this.page.locator(id('alert')).count()) await this.page.keyboard.press('Escape');
    } else if (kind === 'web_app') {
      await node.click({ timeout: stepMs });
      await opened(this.page);
      await closeApp(this.page);
    } else if (kind === 'pay') {
      await node.click({ timeout: stepMs });
      await this.page.locator(id('pay-sheet')).waitFor({ timeout: stepMs });
      await this.page.keyboard.press('Escape');
      await this.page.waitForSelector(id('pay-sheet'), { state: 'detached', timeout: stepMs });
    } else if (kind === 'callback') {
      const { callback_query_id: query } = await this.told('press', () => node.click({ timeout: stepMs }));
      await this.page.waitForFunction((q) => window.tourAnswered.has(q), query, { timeout: stepMs })
        .catch(() => { throw new Error(`the press of “${key.text}” was never answered`); });
      if (await this.page.locator(id('alert')).count()) await this.page.keyboard.press('Escape');
    } else {
      throw new Error(`“${key.text}” is a button of a kind that the page does not know`);
    }
  }

  /** What is on the page must be whole and easy to read; faults are told at the end. */
  async look(after = '') {
    const wide = await this.page.evaluate(() => document.getElementById('scroller').scrollWidth - document.getElementById('scroller').clientWidth);
    if (wide > 0) throw new Error(`the chat is ${wide} px too wide after “${after}”`);
    const unknown = await this.page.getByText('This kind of message is not shown here.').count();
    if (unknown > 0) throw new Error(`a message is of a kind that the page does not show, after “${after}”`);
  }

  /** Edits the last question; the bot offers to answer it anew. */
  anew() {
    return this.follow(async () => {
      const before = await this.settled();
      await this.ask('What is two and two?');
      await this.settled(answerTo(before));
      await this.page.locator(id('composer')).press('ArrowUp');
      await this.page.locator(id('composer')).fill('What is three and three?');
      await this.told('edit', () => this.page.locator(id('composer')).press('Enter'));
    });
  }

  /** Stops an answer on its way with the button under it; what was shown stays. */
  async stop() {
    const before = await this.settled();
    await this.ask('Tell me a long story, please.');
    await this.page.locator(id('stop')).click({ timeout: stepMs });
    const fresh = fromBot(before, await this.settled(answerTo(before)));
    if (fresh.length !== 1) throw new Error(`${fresh.length} messages after a stop`);
    await shoot(this.page, 'stopped');
    return {};
  }

  /** Takes the pictures of a few screens in Arabic. */
  async rightToLeft() {
    await this.choose('set:language=ar');
    for (const text of ['/help', '/balance', '/usage', '/keys', '/settings']) {
      await this.pace();
      const before = await this.settled();
      await this.ask(text);
      await this.settled(answerTo(before));
      await this.contrast(`rtl-${text.slice(1)}`);
    }
    await this.choose('set:language=en');
    return {};
  }

  /** Chooses in the settings by what the button does. */
  async choose(data) {
    await this.pace();
    const before = await this.settled();
    await this.ask('/settings');
    await this.settled(answerTo(before));
    for (const wanted of [data.split('=')[0], data]) {
      const message = (await this.settled()).messages.at(-1);
      if (!keysOf(message).some(({ key }) => key.callback_data === wanted)) throw new Error(`the settings offer no ${wanted}`);
      await this.press(message.message_id, { callback_data: wanted });
    }
  }

  /** Reads every text's contrast in light and dark, and takes a picture. */
  async contrast(name) {
    for (const colorScheme of ['light', 'dark']) {
      await this.page.emulateMedia({ colorScheme });
      const poor = await lowContrast(this.page);
      if (poor.length > 0) throw new Error(`${colorScheme}: hard to read: ${poor.slice(0, 3).join('; ')}`);
    }
    await this.page.emulateMedia({ colorScheme: 'light' });
    await shoot(this.page, name);
  }

  /** Adds a person, who starts the bot, leaves it for good and finds nothing left. */
  async leaveAsSomebodyElse() {
    const me = this.user;
    await this.page.locator(id('user-menu')).click({ timeout: stepMs });
    await this.page.locator(id('user-name')).fill('Grace');
    await this.page.locator(id('user-name')).press('Enter');
    await this.page.waitForFunction((id) => Number(new URL(location.href).searchParams.get('user')) !== id, me, { timeout: stepMs });
    await this.open();
    await this.page.locator(id('start')).click({ timeout: stepMs });
    const before = await this.settled((state) => state.messages.at(-1)?.from.is_bot);
    await this.ask('/deleteaccount');
    const asked = (await this.settled(answerTo(before))).messages.at(-1);
    const leave = keysOf(asked).map((k) => k.key).find((key) => /^delete:\d+$/.test(key.callback_data ?? ''));
    if (!leave) throw new Error('nothing offers to delete the account');
    await this.contrast('leave');
    const came = await this.press(asked.message_id, leave);
    if (came.length === 0) throw new Error('nothing says that the account is gone');
    await shoot(this.page, 'left');
    return {};
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The bot's messages that are new, or look different. */
function fromBot(before, after) {
  const known = new Map(before.messages.map((m) => [m.message_id, JSON.stringify(m)]));
  return after.messages.filter((m) => m.from.is_bot && known.get(m.message_id) !== JSON.stringify(m));
}

/** Tells whether the bot has written something new since. */
const answerTo = (before) => (state) => state.messages.some((m) => m.from.is_bot && m.message_id > (before.messages.at(-1)?.message_id ?? 0));

// These are answered with a message, after the press itself is.
const slow = (key) => /^(anew|file):/.test(key.callback_data ?? '');

const keysOf = (message, path = []) => (message.reply_markup?.inline_keyboard ?? []).flat().map((key) => ({ message, key, path }));

/** What a button does, whatever it says; numbers of messages, turns and codes aside. */
function doing(key) {
  if (key.callback_data === undefined) return key.pay ? 'pay' : key.copy_text ? `copy:${key.text}` : `url:${key.text}`;
  return key.callback_data.replace(/^(anew|file|revoke|delete|gift|modelstar|modelall):.*$/, '$1:');
}

/** Buttons that somebody else presses, at the end. */
const reserved = (key) => /^delete:\d+$/.test(key.callback_data ?? '');
