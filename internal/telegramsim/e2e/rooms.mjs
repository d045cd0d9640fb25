// Steps in rooms: topics, quoting, inline mode, a group of two people that grows.

import { botMessages, id, newest, reply, results, say, shoot, step, stepMs } from './walking.mjs';

/** Walks through all of them and comes back to the private chat; `cost` is how an answer says what it cost. */
export async function rooms(page, cost) {
  const me = Number(await page.evaluate(() => new URL(location.href).searchParams.get('user')));
  await step('rooms: a topic is a conversation of its own', () => topic(page, cost));
  await step('rooms: a part of an answer is quoted', () => quoted(page, cost));
  await step('rooms: asked inline', () => inline(page, cost));
  await step('rooms: the bot asks for words', () => forced(page));
  await step('rooms: another person', () => another(page, 'Bob'));
  await step('rooms: a group, a mention', () => group(page, me, cost));
  await step('rooms: a reply', () => replied(page, cost));
  await step('rooms: /ask by the other person', () => askAs(page, 'Bob', cost));
  await step('rooms: the group grows', () => grow(page, me, cost));
  await step('rooms: a topic of the group', () => groupTopic(page, cost));
  await step('rooms: the bot leaves and comes back', () => comeBack(page));
  await step('rooms: back to the private chat', () => home(page));
  if (results.console.length) throw new Error(results.console[0]);
}

const open = async (page) => {
  if (!await page.locator(id('user-panel')).isVisible()) await page.locator(id('user-menu')).click({ timeout: stepMs });
};

const pick = async (page, testid, text) => {
  await open(page);
  await page.locator(id(testid)).filter({ hasText: text }).first().click({ timeout: stepMs });
};

const write = async (page, testid, text) => {
  await open(page);
  await page.locator(id(testid)).fill(text);
  await page.locator(id(testid)).press('Enter');
};

/** Waits until the page shows a chat, by what its header says. */
const headed = (page, name) => page.waitForFunction((n) => document.getElementById('bot-name').textContent === n, name, { timeout: stepMs });

const settled = (page) => page.waitForSelector(id('draft'), { state: 'detached', timeout: stepMs });

async function topic(page, cost) {
  await write(page, 'topic-name', 'Cooking');
  await page.locator(`${id('topic')}[aria-selected=true]`, { hasText: 'Cooking' }).waitFor({ timeout: stepMs });
  const answer = await reply(page, await say(page, 'What goes into an omelette?'), cost);
  if (!/turn 1 /.test(answer.text)) throw new Error(`the topic has another conversation's turns: ${answer.text}`);
  await settled(page);
  await shoot(page, 'topic');
  await page.locator(`${id('topic')}[data-thread="0"]`).click({ timeout: stepMs });
  if (await page.getByText('What goes into an omelette?').count()) throw new Error('what was asked in a topic is shown outside');
  return { answer: answer.text };
}

async function quoted(page, cost) {
  const words = await page.locator(`${botMessages} ${id('message-text')}`).last().evaluate((node) => {
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    walker.nextNode();
    const range = document.createRange();
    range.setStart(walker.currentNode, 0);
    range.setEnd(walker.currentNode, Math.min(20, walker.currentNode.length));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return range.toString().trim();
  });
  await page.locator(id('quote')).click({ timeout: stepMs });
  await shoot(page, 'quoting');
  const answer = await reply(page, await say(page, 'What does this mean?'), cost);
  const shown = await page.locator(`${id('message')}[data-from=user] .quoted`).last().textContent({ timeout: stepMs });
  if (shown !== words) throw new Error(`“${shown}” is quoted, not “${words}”`);
  return { quoted: words, answer: answer.text };
}

async function inline(page, cost) {
  const before = await newest(page);
  await page.locator(id('composer')).pressSequentially('@kikuai_bot');
  await page.locator(id('mention-item')).click({ timeout: stepMs });
  await page.locator(id('composer')).pressSequentially('why is the sky blue?');
  await page.locator(id('inline-result')).first().waitFor({ timeout: stepMs });
  await shoot(page, 'inline');
  await page.locator(id('inline-result')).first().click({ timeout: stepMs });
  const sent = page.locator(`${id('message')}:has(${id('via')})`).last();
  await sent.waitFor({ timeout: stepMs });
  await page.waitForFunction(([selector, source]) => new RegExp(source).test([...document.querySelectorAll(selector)].at(-1)?.textContent ?? ''),
    [`${id('message')}:has(${id('via')}) ${id('message-text')}`, cost.source], { timeout: stepMs });
  await shoot(page, 'inline-answer');
  const others = await page.locator(botMessages).evaluateAll((all, above) => all.filter((m) => Number(m.dataset.messageId) > above).length, before);
  if (others > 0) throw new Error('what was asked inline is answered twice');
  return { answer: await sent.locator(id('message-text')).textContent() };
}

async function forced(page) {
  const before = await say(page, '/feedback');
  await reply(page, before);
  await page.locator(id('context-text')).waitFor({ timeout: stepMs });
  await shoot(page, 'force-reply');
  await page.locator(id('context-close')).click({ timeout: stepMs });
  return {};
}

async function another(page, name) {
  await write(page, 'user-name', name);
  await page.locator(id('start')).click({ timeout: stepMs });
  await reply(page, 0);
  return {};
}

const mention = (page, text) => say(page, `@kikuai_bot ${text}`);

async function group(page, me, cost) {
  await open(page);
  await page.locator(`${id('user-item')}[data-user="${me}"]`).click({ timeout: stepMs });
  await page.waitForFunction((user) => Number(new URL(location.href).searchParams.get('user')) === user, me, { timeout: stepMs });
  await write(page, 'group-name', 'Friends');
  await headed(page, 'Friends');
  const before = await newest(page);
  await mention(page, 'good morning, everybody');
  const answer = await reply(page, before, cost);
  await shoot(page, 'group');
  return { answer: answer.text };
}

async function replied(page, cost) {
  const last = page.locator(botMessages).last();
  await last.hover();
  await last.locator('.message-menu').click({ timeout: stepMs });
  await page.getByRole('menuitem', { name: 'Reply' }).click({ timeout: stepMs });
  const answer = await reply(page, await say(page, 'And in other words?'), cost);
  return { answer: answer.text };
}

async function askAs(page, name, cost) {
  await pick(page, 'user-item', name);
  await page.waitForFunction((n) => document.querySelector('[data-testid=user-menu]').getAttribute('aria-label').includes(n), name, { timeout: stepMs });
  await headed(page, 'Friends');
  const answer = await reply(page, await say(page, '/ask@kikuai_bot what about me?'), cost);
  await shoot(page, 'group-two');
  return { answer: answer.text };
}

async function grow(page, me, cost) {
  await open(page);
  await page.locator(`${id('user-item')}[data-user="${me}"]`).click({ timeout: stepMs });
  await headed(page, 'Friends');
  await page.waitForFunction((user) => Number(new URL(location.href).searchParams.get('user')) === user, me, { timeout: stepMs });
  await pick(page, 'group-upgrade', 'supergroup');
  await page.waitForFunction(() => document.getElementById('status').textContent.startsWith('supergroup'), null, { timeout: stepMs });
  await page.getByText('This group is a supergroup now').last().waitFor({ timeout: stepMs });
  const before = await newest(page);
  await mention(page, 'are you still here?');
  const answer = await reply(page, before, cost);
  return { answer: answer.text };
}

async function groupTopic(page, cost) {
  await pick(page, 'group-forum', 'topics');
  await page.locator(id('topic-add')).click({ timeout: stepMs });
  await page.locator(id('topic-field')).fill('Travel');
  await page.locator(id('topic-field')).press('Enter');
  await page.locator(`${id('topic')}[aria-selected=true]`, { hasText: 'Travel' }).waitFor({ timeout: stepMs });
  const before = await newest(page);
  await mention(page, 'where shall we go?');
  const answer = await reply(page, before, cost);
  await shoot(page, 'group-topic');
  return { answer: answer.text };
}

async function comeBack(page) {
  for (const [said, count] of [['Remove', '2 members'], ['back', '3 members']]) {
    await pick(page, 'group-bot', said);
    await page.waitForFunction((c) => document.getElementById('status').textContent.endsWith(c), count, { timeout: stepMs });
  }
  return {};
}

async function home(page) {
  await open(page);
  await page.locator(id('chat-item')).first().click({ timeout: stepMs });
  await headed(page, 'KikuAI');
  return {};
}
