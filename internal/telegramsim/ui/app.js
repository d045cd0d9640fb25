// Wires the page: who is chatting, the store, the views, and what they do.

import * as api from './api.js';
import { attachments } from './attach.js';
import { createChrome } from './chrome.js';
import { createComposer } from './composer.js';
import { safeLink } from './entities.js';
import { createMessages } from './messages.js';
import { alertBox, copy, toast } from './notices.js';
import { el } from './dom.js';
import { paySheet } from './paysheet.js';
import { isAppAddress, openApp } from './miniapp.js';
import { createPeople } from './people.js';
import { watchSelection } from './quote.js';
import { invoiceSlug } from './stars.js';
import { createStore } from './store.js';
import { createTopics } from './topics.js';
import { receipt, wallet } from './wallet.js';

const FIRST_RETRY_MS = 1000;
const MAX_EARLY = 100; // answers that may overtake their presses
const MEMORY = 'telegramsim.user';

const store = createStore();
const { state } = store;
let unfollow = () => {};
const pressed = new Map(); // callback query id → what to do when it is answered

const me = () => state.user.id;
const isGroup = () => state.chat.type !== 'private';
const here = () => ({ user: me(), chat: isGroup() ? state.chat.id : undefined });
const inTopic = () => ({ ...here(), thread: state.thread || undefined });

/** Runs a call and says why it failed; tells whether it did not. */
async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, 'error');
    return false;
  }
}

const act = {
  /** Sends a text and files; `answers` is null or {reply_to, quote?, quote_at?}. */
  send: (text, answers = null, files = []) => attempt(async () => {
    const who = inTopic();
    const carried = files.length > 0 ? await attachments(files) : undefined;
    await api.send(who, { text, ...answers, attachments: carried });
  }),
  edit: (message, text) => attempt(() => api.edit(here(), message.message_id, text)),
  // In a group a command says whose it is, as Telegram's apps write it.
  command: (text) => act.send(isGroup() && !text.includes('@') ? text.replace(/^\/\w+/, `$&@${state.bot.username}`) : text),
  copy,
  async start(button) {
    button.disabled = true;
    await attempt(async () => {
      if (state.blocked) await api.block(me(), false);
      else await api.start(me());
    });
    button.disabled = false;
  },
  async stop(draftId, button) {
    button.disabled = true;
    if (!await attempt(() => api.stop(me(), draftId))) button.disabled = false;
  },
  async press(message, data, done) {
    const ok = await attempt(async () => {
      const { callback_query_id: id } = await api.press(here(), message.message_id, data);
      pressed.set(id, done);
      if (answered.delete(id)) answer(id);
    });
    if (!ok) done();
  },
  pay: (message) => paySheet(store, { ...message.invoice, stars: message.invoice.total_amount, message_id: message.message_id }),
  receipt: (charge) => receipt(store, charge),
  wallet: () => wallet(store),
  open(address) {
    if (invoiceSlug(address ?? '')) return openInvoice(address);
    if (startOf(address ?? '')) return begun(startOf(address));
    const url = safeLink(address ?? '');
    if (url) window.open(url, '_blank', 'noopener');
    else toast('This button leads nowhere that a browser can open.', 'error');
    return undefined;
  },
  older: () => attempt(async () => {
    const page = await api.older(here(), state.messages[0].message_id);
    store.prepend(page.messages, page.payments);
  }),
  menu: (message, anchor) => chrome.messageMenu(message, anchor),
  block: (blocked) => attempt(() => api.block(me(), blocked)),
  addPerson: (name) => attempt(async () => {
    const { user } = await api.addPerson(name);
    if (!state.users.some((u) => u.id === user.id)) store.setUsers([...state.users, user]);
    become(user.id);
  }),
  chats: () => attempt(async () => store.setChats((await api.chats(me())).chats)),
  addGroup: (name) => attempt(async () => {
    const { chat } = await api.addGroup(name, [me(), ...state.users.map((u) => u.id).filter((id) => id !== me())]);
    become(me(), chat.id);
  }),
  upgrade: () => attempt(() => api.upgrade(here())),
  join: (user) => attempt(() => api.join(user, state.chat.id)),
  leave: () => attempt(async () => {
    await api.leave(here());
    become(me());
  }),
  setBot: (present) => attempt(async () => {
    await api.setBot(here(), present);
    become(me(), state.chat.id);
  }),
  forum: () => attempt(() => api.forum(state.chat.id)),
  addTopic: (name) => attempt(async () => {
    const { thread } = await api.topic(here(), name);
    store.setThread(thread);
  }),
  topic: (thread) => store.setThread(thread),
  type: (text) => api.type(me(), isGroup() ? state.chat.type : 'sender', text),
  offered: api.offered,
  choose: (query, result) => attempt(() => api.choose(inTopic(), query, result)),
  /** Opens a Mini App; `button` is what opened it: menu, inline or keyboard. */
  app: (address, button) => attempt(async () => {
    if (!isAppAddress(address)) return act.open(address);
    const { init_data: data } = await api.launch(here(), button);
    openApp(address, state.bot.first_name, data, act);
    return undefined;
  }),
  invoice: (link) => invoiceSheet(link),
  switchInline: (query) => composer.write(`@${state.bot.username} ${query}`),
  begin: (payload) => begun(payload),
  become,
};

// What a link to the bot itself starts it with, or null; Telegram opens those in place.
function startOf(address) {
  const link = safeLink(address);
  if (!link) return null;
  const { hostname, pathname, searchParams } = new URL(link);
  const ours = hostname === 't.me' && pathname.toLowerCase() === `/${state.bot.username}`.toLowerCase();
  return ours ? searchParams.get('start') : null;
}

const begun = (payload) => attempt(async () => {
  if (state.chat.type !== 'private') become(me());
  await api.start(me(), payload);
});

/** The sheet of the invoice behind a link. */
async function invoiceSheet(link) {
  const { invoice } = await api.invoice(link);
  return paySheet(store, { ...invoice, link });
}

/** Opens the invoice behind a link, as Telegram does wherever one is pressed. */
const openInvoice = (link) => attempt(() => invoiceSheet(link));

// Links to invoices inside a text are Telegram's to open, not the browser's.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  if (!link || !invoiceSlug(link.href) && !startOf(link.href)) return;
  event.preventDefault();
  act.open(link.href);
});

/** An invoice that the page's own address names is opened once somebody is there to pay it. */
function openWanted() {
  const address = new URL(location.href);
  const slug = address.searchParams.get('invoice');
  if (!slug) return;
  address.searchParams.delete('invoice');
  history.replaceState(null, '', address);
  const forget = store.on('reset', () => {
    forget();
    openInvoice(slug);
  });
}

// An answer may overtake the reply to the press that asked for it.
const answered = new Set();

function answer(id) {
  pressed.get(id)?.();
  pressed.delete(id);
}

store.on('callback', (event) => {
  if (pressed.has(event.callback_query_id)) answer(event.callback_query_id);
  else if (answered.size < MAX_EARLY) answered.add(event.callback_query_id);
  if (event.url) act.open(event.url);
  if (!event.text) return;
  if (event.show_alert) alertBox(state.bot.first_name, el('p', {}, event.text));
  else toast(event.text);
});

function remembered() {
  try {
    return Number(localStorage.getItem(MEMORY));
  } catch {
    return 0;
  }
}

/** Makes the page the person with that id, in the private chat with the bot or in a group. */
function become(id, chat) {
  unfollow();
  pressed.clear();
  answered.clear();
  try {
    localStorage.setItem(MEMORY, String(id));
  } catch {
    // Without storage the page forgets who was chatting; nothing else changes.
  }
  const address = new URL(location.href);
  address.searchParams.set('user', id);
  if (chat) address.searchParams.set('chat', chat);
  else address.searchParams.delete('chat');
  history.replaceState(null, '', address);
  unfollow = api.follow({ user: id, chat }, { onState: store.load, onEvent: store.apply, onStatus: store.setConnection });
}

async function begin() {
  try {
    let { users } = await api.people();
    if (users.length === 0) users = [(await api.addPerson('Ada')).user];
    store.setUsers(users);
    const address = new URLSearchParams(location.search);
    const wanted = [Number(address.get('user')), remembered()];
    const who = wanted.find((id) => users.some((u) => u.id === id)) ?? users[0].id;
    const { chats } = await api.chats(who);
    become(who, chats.find((c) => c.id === Number(address.get('chat')) && c.type !== 'private')?.id);
  } catch {
    store.setConnection('lost');
    setTimeout(begin, FIRST_RETRY_MS);
  }
}

// A group that became a supergroup goes on there.
store.on('reset message', (message) => {
  const moved = (message ?? state.messages.at(-1))?.migrate_to_chat_id;
  if (moved) queueMicrotask(() => become(me(), moved));
});

const chrome = createChrome(store, {
  copy,
  reply: (message) => composer.reply(message),
  edit: (message) => composer.edit(message),
});
createMessages(store, act);
const composer = createComposer(store, act);
createPeople(store, act);
createTopics(store, act);
watchSelection(store, (message, quote) => composer.reply(message, quote));
openWanted();
begin();
