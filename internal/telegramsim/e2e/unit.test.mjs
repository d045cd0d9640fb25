// The page's logic without a browser: entities and the store.

import assert from 'node:assert/strict';
import test from 'node:test';
import { sharing } from '../ui/album.js';
import { colour, inkOn, launchAddress } from '../ui/bridge.js';
import { entityTree, safeLink } from '../ui/entities.js';
import { inlineQuery } from '../ui/inline.js';
import { createStore } from '../ui/store.js';

/** Writes a tree as text: entities as <type>…</type>. */
const written = (nodes) => nodes.map((n) => (typeof n === 'string' ? n : `<${n.entity.type}>${written(n.children)}</>`)).join('');

const e = (type, offset, length) => ({ type, offset, length });

test('entities nest, overlap and stay inside the text', () => {
  const cases = [
    ['plain', [], 'plain'],
    ['one two', [e('bold', 4, 3)], 'one <bold>two</>'],
    ['abcdef', [e('italic', 1, 3), e('bold', 0, 6)], '<bold>a<italic>bcd</>ef</>'],
    ['abcdef', [e('bold', 0, 4), e('italic', 2, 4)], '<bold>ab<italic>cd</></><italic>ef</>'],
    ['abcdef', [e('bold', 0, 3), e('italic', 1, 4), e('underline', 2, 4)], '<bold>a<italic>b<underline>c</></></><underline><italic>de</>f</>'],
    ['abc', [e('bold', 0, 3), e('italic', 0, 3)], '<bold><italic>abc</></>'],
    ['abc', [e('bold', 2, 99), e('code', 7, 1), e('code', 1, 0), e('italic', -1, 2)], '<italic>a</>b<bold>c</>'],
    ['🌼 ok', [e('bold', 3, 2)], '🌼 <bold>ok</>'],
  ];
  for (const [text, entities, want] of cases) assert.equal(written(entityTree(text, entities)), want);
});

test('however entities lie, the text comes out whole', () => {
  let seed = 7;
  const random = (n) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % n;
  };
  const text = 'The quick brown fox jumps over it';
  for (let round = 0; round < 2000; round += 1) {
    const entities = Array.from({ length: random(7) }, () => e(['bold', 'code', 'pre'][random(3)], random(40) - 3, random(20)));
    assert.equal(written(entityTree(text, entities)).replaceAll(/<[^>]*>/g, ''), text);
  }
});

test('a payment is known once, and belongs to whoever was told', () => {
  const { state, on, load, apply } = createStore();
  const seen = [];
  const forget = on('stars payment', (detail, kind) => seen.push(kind));
  load({ user: { id: 1 }, bot: {}, chat: { id: 1 }, messages: [], stars: 10, payments: [{ charge: 'a', stars: 3 }] });
  apply({ type: 'payment', seq: 1, chat_id: 1, payment: { charge: 'a', stars: 3, refunded: 9 } });
  apply({ type: 'payment', seq: 2, chat_id: 1, payment: { charge: 'b', stars: 4 } });
  apply({ type: 'payment', seq: 3, chat_id: 2, payment: { charge: 'c', stars: 5 } });
  apply({ type: 'stars', seq: 4, chat_id: 1, stars: 6 });
  forget();
  apply({ type: 'stars', seq: 5, chat_id: 1, stars: 7 });
  assert.deepEqual(state.payments.map((p) => [p.charge, p.refunded]), [['a', 9], ['b', undefined]]);
  assert.deepEqual(seen, ['payment', 'payment', 'stars']);
  assert.equal(state.stars, 7);
});

test('links lead only where a link may lead', () => {
  assert.equal(safeLink('https://example.com/a'), 'https://example.com/a');
  assert.equal(safeLink('example.com'), 'https://example.com/');
  assert.equal(safeLink('mailto:a@example.com'), 'mailto:a@example.com');
  for (const bad of ['javascript:alert(1)', ' JavaScript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'http://', '']) assert.equal(safeLink(bad), null, bad);
});

const USER = { id: 1, is_bot: false, first_name: 'Ada' };
const BOT = { id: 9, is_bot: true, first_name: 'Bot' };
const message = (message_id, from = BOT, more = {}) => ({ message_id, from, date: 1000, text: `m${message_id}`, ...more });

function storeWith(state = {}) {
  const timers = [];
  const store = createStore({ now: () => 0, later: (fn) => timers.push(fn), never: () => {} });
  const told = [];
  store.on('reset message edit delete draft draft_end status read composer pending callback people older', (_, kind) => told.push(kind));
  store.load({ seq: 1, user: USER, bot: BOT, chat: { id: 1 }, started: true, messages: [], draft: null, ...state });
  told.length = 0;
  return { store, told, timers, event: (type, more) => store.apply({ type, seq: 2, chat_id: 1, ...more }) };
}

test('messages keep their order, whatever theirs', () => {
  const { store, event } = storeWith({ messages: [message(5)] });
  for (const id of [7, 6, 9, 7]) event('message', { message: message(id) });
  assert.deepEqual(store.state.messages.map((m) => m.message_id), [5, 6, 7, 9]);
  event('edit', { message: message(6, BOT, { text: 'new' }) });
  event('edit', { message: message(99) });
  event('delete', { message_id: 7 });
  assert.deepEqual(store.state.messages.map((m) => m.text), ['m5', 'new', 'm9']);
});

test('events of another chat are left out', () => {
  const { store, told } = storeWith();
  store.apply({ type: 'message', seq: 2, chat_id: -100, message: message(1) });
  assert.deepEqual([store.state.messages.length, told.length], [0, 0]);
});

test('a draft ends only by its own end', () => {
  const { store, event } = storeWith();
  event('draft', { draft: { draft_id: 1, text: 'a' } });
  event('draft', { draft: { draft_id: 2, text: 'b' } });
  event('draft_end', { draft_id: 1, reason: 'expired' });
  assert.equal(store.state.draft.text, 'b');
  event('draft_end', { draft_id: 2, reason: 'final' });
  assert.equal(store.state.draft, null);
});

test('typing ends with its time, a draft or a message', () => {
  const { store, event, timers } = storeWith();
  event('typing', { seconds: 5 });
  assert.equal(store.state.typingUntil, 5000);
  timers.at(-1)();
  assert.equal(store.state.typingUntil, 0);
  event('typing', { seconds: 5 });
  event('message', { message: message(1, USER) });
  assert.notEqual(store.state.typingUntil, 0);
  event('message', { message: message(2) });
  assert.equal(store.state.typingUntil, 0);
});

test('what the bot has taken is read', () => {
  const { store, event } = storeWith({ pending: 1, messages: [message(1, USER)] });
  assert.equal(store.state.readUpTo, 0);
  event('message', { message: message(2) });
  assert.equal(store.state.readUpTo, 2);
  event('message', { message: message(3, USER) });
  assert.equal(store.state.readUpTo, 2);
  event('pending', { pending: 0 });
  assert.equal(store.state.readUpTo, 3);
});

test('older messages go before, each once', () => {
  const { store } = storeWith({ messages: [message(5)] });
  store.prepend([message(3), message(4), message(5)]);
  assert.deepEqual(store.state.messages.map((m) => m.message_id), [3, 4, 5]);
});

test('a topic counts its news until it is shown, and one that is gone shows the rest', () => {
  const { store, event } = storeWith({ topics: [{ thread: 5, name: 'Food' }] });
  const inTopic = { is_topic_message: true, message_thread_id: 5 };
  event('message', { message: message(6, BOT, inTopic) });
  event('message', { message: message(7) });
  assert.deepEqual([store.state.unread, store.shown(store.state.messages[0]), store.shown(store.state.messages[1])], [{ 5: 1 }, false, true]);
  store.setThread(5);
  assert.deepEqual([store.state.unread, store.shown(store.state.messages[0])], [{}, true]);
  event('topics', { topics: [] });
  assert.equal(store.state.thread, 0);
});

test('the bot is asked inline only behind its whole name', () => {
  const cases = [['@kikubot why', 'why'], ['@KikuBot  why\nso ', 'why\nso'], ['@kikubot ', ''], ['@kikubot', null], ['@kikubo why', null], ['say @kikubot why', null], [`@kikubot ${'x'.repeat(257)}`, null]];
  for (const [text, want] of cases) assert.equal(inlineQuery(text, 'kikubot'), want, text);
});

test('an album of any size fills its rows', () => {
  for (let n = 2; n <= 10; n += 1) {
    const shares = sharing(n);
    assert.equal(shares.length, n);
    assert.ok(Number.isInteger(Math.round(shares.reduce((sum, share) => sum + 1 / share, 0) * 1e9) / 1e9), `${n}: ${shares}`);
    assert.ok(shares.every((share) => share <= 3));
  }
});

test('what a Mini App is handed stands behind the #, whatever the address has', () => {
  const handed = 'tgWebAppData=a%3D1%26b%3D%2525&tgWebAppVersion=';
  assert.ok(launchAddress('https://x.example/app', 'a=1&b=%25', {}).startsWith(`https://x.example/app#${handed}`));
  assert.ok(launchAddress('https://x.example/app#', 'a=1&b=%25', {}).startsWith(`https://x.example/app#${handed}`));
  assert.ok(launchAddress('https://x.example/app#/keys', 'a=1&b=%25', {}).startsWith(`https://x.example/app#/keys&${handed}`));
  assert.deepEqual([colour('#12AbCd'), colour('red'), colour('#fff'), colour(undefined)], ['#12AbCd', null, null, null]);
  assert.deepEqual([inkOn('#ffffff'), inkOn('#000000'), inkOn('#1f6fbf')], ['#000000', '#ffffff', '#ffffff']);
});
