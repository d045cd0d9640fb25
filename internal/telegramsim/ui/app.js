// Wires the page: who is chatting, the store, the views, and what they do.

import * as api from './api.js';
import { createChrome } from './chrome.js';
import { createComposer } from './composer.js';
import { safeLink } from './entities.js';
import { createMessages } from './messages.js';
import { alertBox, copy, toast } from './notices.js';
import { el } from './dom.js';
import { paySheet } from './paysheet.js';
import { createPeople } from './people.js';
import { invoiceSlug } from './stars.js';
import { createStore } from './store.js';
import { receipt, wallet } from './wallet.js';

const FIRST_RETRY_MS = 1000;
const MAX_EARLY = 100; // answers that may overtake their presses
const MEMORY = 'telegramsim.user';

const store = createStore();
const { state } = store;
let unfollow = () => {};
const pressed = new Map(); // callback query id → what to do when it is answered

const me = () => state.user.id;

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
  send: (text, replyTo) => attempt(() => api.send(me(), text, replyTo)),
  edit: (message, text) => attempt(() => api.edit(me(), message.message_id, text)),
  command: (text) => act.send(text, null),
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
      const { callback_query_id: id } = await api.press(me(), message.message_id, data);
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
    const url = safeLink(address ?? '');
    if (url) window.open(url, '_blank', 'noopener');
    else toast('This button leads nowhere that a browser can open.', 'error');
    return undefined;
  },
  older: () => attempt(async () => {
    const page = await api.older(me(), state.messages[0].message_id);
    store.prepend(page.messages, page.payments);
  }),
  menu: (message, anchor) => chrome.messageMenu(message, anchor),
  block: (blocked) => attempt(() => api.block(me(), blocked)),
  addPerson: (name) => attempt(async () => {
    const { user } = await api.addPerson(name);
    if (!state.users.some((u) => u.id === user.id)) store.setUsers([...state.users, user]);
    become(user.id);
  }),
  become,
};

/** Opens the invoice behind a link, as Telegram does wherever one is pressed. */
const openInvoice = (link) => attempt(async () => {
  const { invoice } = await api.invoice(link);
  paySheet(store, { ...invoice, link });
});

// Links to invoices inside a text are Telegram's to open, not the browser's.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  if (!link || !invoiceSlug(link.href)) return;
  event.preventDefault();
  openInvoice(link.href);
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

function become(id) {
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
  history.replaceState(null, '', address);
  unfollow = api.follow(id, { onState: store.load, onEvent: store.apply, onStatus: store.setConnection });
}

async function begin() {
  try {
    let { users } = await api.people();
    if (users.length === 0) users = [(await api.addPerson('Ada')).user];
    store.setUsers(users);
    const wanted = [Number(new URLSearchParams(location.search).get('user')), remembered()];
    const who = wanted.find((id) => users.some((u) => u.id === id)) ?? users[0].id;
    become(who);
  } catch {
    store.setConnection('lost');
    setTimeout(begin, FIRST_RETRY_MS);
  }
}

const chrome = createChrome(store, {
  copy,
  reply: (message) => composer.reply(message),
  edit: (message) => composer.edit(message),
});
createMessages(store, act);
const composer = createComposer(store, act);
createPeople(store, act);
openWanted();
begin();
