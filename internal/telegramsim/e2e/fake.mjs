// A stand-in for the simulator, the bot and the API in one small server, so that
// the page's own tests can make happen what they look for. It follows PAGE.md.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

const UI = new URL('../ui/', import.meta.url);
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' };
const BOT = { id: 7000000001, is_bot: true, first_name: 'KikuAI', username: 'kikuai_dev_bot' };
const COMMANDS = [
  { command: 'start', description: 'Begin, or begin again' },
  { command: 'help', description: 'What I can do' },
  { command: 'balance', description: 'What you have and what is held' },
  { command: 'newkey', description: 'Create an API key' },
  { command: 'keys', description: 'Your API keys' },
];
const MONTH = 2592000;
const KEY = `kk_42_${'Zt7Qm4Lr9Xc2Vb6Np1Ks8Hd3Fg5Jw0Yu7Ie4Ra2Toq'}_1a2B3c`;
const ANSWER = 'I am a simulated model, and this answer arrives one piece at a time so that you can watch it grow. '
  + 'When it is complete, one final message takes the place of this preview and says what the answer cost.';

// A Mini App that says what it is handed and told, and does what its buttons say.
const APP = `<!doctype html><title>app</title><p id="handed"></p><ol id="told"></ol><script>
document.getElementById('handed').textContent = decodeURIComponent(location.hash);
window.say = (eventType, eventData) => parent.postMessage(JSON.stringify({ eventType, eventData }), '*');
addEventListener('message', ({ data }) => {
  const item = document.createElement('li');
  item.textContent = data;
  document.getElementById('told').append(item);
});
say('web_app_ready');
</script>`;

/** Builds the text and entities of a message from parts: strings and [type, text, more]. */
export function compose(...parts) {
  let text = '';
  const entities = [];
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    const [type, piece, more] = part;
    entities.push({ type, offset: text.length, length: piece.length, ...more });
    text += piece;
  }
  return { text, entities };
}

export class Fake {
  constructor({ frameMs = 60, key = KEY } = {}) {
    Object.assign(this, { frameMs, key, seq: 0, nextId: 1, chats: new Map(), readers: new Set(), timers: new Set(), down: false, presses: 0, pays: 0, asked: [], offers: null, links: new Map(), verdict: null });
    this.addUser('Ada', 1001);
    this.server = createServer((request, response) => this.serve(request, response).catch((error) => {
      response.writeHead(500).end(JSON.stringify({ error: error.message }));
    }));
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async close() {
    this.timers.forEach(clearTimeout);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  addUser(first_name, id = 1001 + this.chats.size) {
    const user = { id, is_bot: false, first_name, language_code: 'en' };
    this.chats.set(id, { user, messages: [], started: false, blocked: false, draft: null, keyboard: null, pending: 0, error: '', stars: 500, payments: [], subscriptions: [] });
    return user;
  }

  emit(user, type, fields) {
    this.seq += 1;
    const frame = `id: ${this.seq}\ndata: ${JSON.stringify({ type, seq: this.seq, chat_id: user, ...fields })}\n\n`;
    for (const reader of this.readers) if (reader.user === user) reader.response.write(frame);
  }

  later(ms, work) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
  }

  /** Puts a message into a user's chat, from the bot unless told otherwise. */
  post(user, content, { own = false, ...more } = {}) {
    const chat = this.chats.get(user);
    const message = {
      message_id: this.nextId, from: own ? chat.user : BOT, chat: { id: user, type: 'private' },
      date: Math.floor(Date.now() / 1000), ...(typeof content === 'string' ? { text: content } : content), ...more,
    };
    this.nextId += 1;
    chat.messages.push(message);
    this.emit(user, 'message', { message });
    return message;
  }

  edit(user, messageId, change) {
    const { messages } = this.chats.get(user);
    const at = messages.findIndex((m) => m.message_id === messageId);
    messages[at] = { ...messages[at], ...change, edit_date: Math.floor(Date.now() / 1000) };
    this.emit(user, 'edit', { message: messages[at] });
    return messages[at];
  }

  setDraft(user, text, { can_stop = true, draft_id = 7 } = {}) {
    const draft = { draft_id, text, entities: [], can_stop, keep_on_stop: false, expires: Math.floor(Date.now() / 1000) + 30 };
    this.chats.get(user).draft = draft;
    this.emit(user, 'draft', { draft });
  }

  endDraft(user, reason) {
    const { draft } = this.chats.get(user);
    if (!draft) return;
    this.chats.get(user).draft = null;
    this.emit(user, 'draft_end', { draft_id: draft.draft_id, reason });
  }

  setPending(user, pending, error = '') {
    Object.assign(this.chats.get(user), { pending, error });
    this.emit(user, 'pending', { pending, last_error_message: error });
  }

  // What the bot does with a message.
  react(user, text) {
    const [command, name] = text.split(' ');
    if (command === '/start') {
      return this.post(user, compose('Welcome, ', ['bold', this.chats.get(user).user.first_name], '! Your account is open, with ', ['bold', '$1.00'],
        ' to begin with.\n\nWrite anything and a model answers. ', ['bot_command', '/help'], ' says what else there is.'));
    }
    if (command === '/balance') return this.post(user, compose(['bold', 'Balance'], '\nAvailable: $0.999862\nHeld: $0.00'));
    if (command === '/newkey') {
      return this.post(user, compose('Here is your key ', ['bold', name || 'key'], '. It is shown this once:\n\n', ['code', this.key],
        '\n\nUse it with any OpenAI client:\n', ['pre', `curl http://127.0.0.1:8080/v1/chat/completions \\\n  -H "Authorization: Bearer $KEY" \\\n  -d '{"model":"sim","messages":[]}'`, { language: 'bash' }]), {
        reply_markup: { inline_keyboard: [[{ text: 'Copy the key', copy_text: { text: this.key } }], [{ text: 'Documentation', url: 'https://example.com/docs' }, { text: 'Revoke', callback_data: 'revoke:1' }]] },
      });
    }
    if (command === '/topup') return this.invoice(user, `Credit of $${(Number(name) * 0.013).toFixed(2)}`, Number(name), `${name} Stars of credit for every model.`);
    if (command === '/keys') return this.post(user, compose(['bold', 'Your keys'], '\n• test — kk_42_Zt7Q…, created today, 1 request'));
    return this.stream(user, ANSWER);
  }

  stream(user, text) {
    const words = text.split(' ');
    this.emit(user, 'typing', { action: 'typing', seconds: 5 });
    this.later(this.frameMs, () => this.setDraft(user, ''));
    const frame = (n) => this.later(this.frameMs, () => {
      if (n > 1 && !this.chats.get(user).draft) return;
      if (n < words.length) {
        this.setDraft(user, words.slice(0, n).join(' '));
        frame(n + 3);
        return;
      }
      this.endDraft(user, 'final');
      this.post(user, compose(text, '\n\n', ['italic', 'gpt-4o-mini · 58 tokens · $0.000035']));
    });
    this.later(this.frameMs * 2, () => frame(1));
  }

  async serve(request, response) {
    const url = new URL(request.url, this.url);
    const json = (body, status = 200, headers = {}) => response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
    if (this.down && url.pathname.startsWith('/sim/')) return json({ error: 'down' }, 503);
    if (url.pathname.startsWith('/v1/')) return this.api(request, url, json);
    if (url.pathname === '/sim/users' && request.method === 'GET') return json({ users: [...this.chats.values()].map((c) => c.user), bot: BOT });
    if (url.pathname === '/sim/state') return json(this.state(Number(url.searchParams.get('user')), Number(url.searchParams.get('before'))));
    if (url.pathname === '/sim/events') return this.follow(Number(url.searchParams.get('user')), response);
    if (url.pathname === '/sim/stars' && request.method === 'GET') {
      const { stars, payments, subscriptions } = this.chats.get(Number(url.searchParams.get('user')));
      return json({ stars, payments, subscriptions });
    }
    if (url.pathname === '/sim/file') return response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end('<b>plain</b> text');
    if (url.pathname === '/sim/inline') return json({ answer: this.offers });
    if (url.pathname === '/app') return response.writeHead(200, { 'Content-Type': 'text/html' }).end(APP);
    if (url.pathname === '/sim/chats') return json({ chats: [{ id: Number(url.searchParams.get('user')), type: 'private' }] });
    if (url.pathname === '/sim/invoice') {
      const bill = this.links.get(url.searchParams.get('link').split('$').at(-1));
      return bill ? json({ invoice: bill }) : json({ error: 'no such invoice' }, 404);
    }
    if (url.pathname === '/sim/pay') return this.pay(await body(request), json);
    if (url.pathname.startsWith('/sim/')) return json(this.act(url.pathname.slice(5), await body(request)));
    if (url.pathname.startsWith('/$')) return response.writeHead(302, { Location: `/?invoice=${url.pathname.slice(2)}` }).end();
    const path = url.pathname === '/' ? 'index.html' : url.pathname.slice(1);
    if (!/^[\w.-]+$/.test(path) || !TYPES[extname(path)]) return json({ error: 'not found' }, 404);
    const file = await readFile(new URL(path, UI));
    return response.writeHead(200, { 'Content-Type': TYPES[extname(path)], 'Content-Security-Policy': "default-src 'self'" }).end(file);
  }

  state(user, before) {
    const chat = this.chats.get(user);
    const messages = chat.messages.filter((m) => !before || m.message_id < before).slice(-200);
    return {
      seq: this.seq, user: chat.user, bot: BOT, chat: { id: user, type: 'private' }, started: chat.started, blocked: chat.blocked, messages,
      draft: chat.draft, typing: false, keyboard: chat.keyboard, keyboard_of: chat.keyboardOf ?? 0, topics: chat.topics ?? [], commands: COMMANDS, menu_button: { type: 'commands' },
      stars: chat.stars, payments: chat.payments, pending: chat.pending, webhook: { url: '', last_error_message: chat.error, last_error_date: 0 },
    };
  }

  follow(user, response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(': open\n\n');
    const reader = { user, response };
    this.readers.add(reader);
    response.on('close', () => this.readers.delete(reader));
  }

  /** Breaks every event stream off. */
  cutReaders() {
    for (const { response } of this.readers) response.destroy();
  }

  /** Sends an invoice as the bot does. */
  invoice(user, title, stars, description = 'What it is') {
    return this.post(user, {
      invoice: { title, description, start_parameter: '', currency: 'XTR', total_amount: stars },
      reply_markup: { inline_keyboard: [[{ text: `Pay ⭐️${stars}`, pay: true }], [{ text: 'Terms', callback_data: 'terms' }]] },
    });
  }

  // A verdict of the test's, [status, sentence], refuses; a promise in its place holds the payment up.
  async pay({ user, message_id, link }, json) {
    this.pays += 1;
    const verdict = await this.verdict;
    if (verdict) return json({ error: verdict[1] }, verdict[0]);
    const chat = this.chats.get(user);
    const bill = link ? this.links.get(link.split('$').at(-1)) : chat.messages.find((m) => m.message_id === message_id).invoice;
    const charge = `stx${chat.payments.length}${'c'.repeat(120)}`;
    const now = Math.floor(Date.now() / 1000);
    const stars = bill.stars ?? bill.total_amount;
    const payment = { charge, user, title: bill.title, stars, date: now, invoice: message_id, ...(bill.period ? { subscription: charge, expires: now + MONTH } : {}) };
    if (bill.period) chat.subscriptions.push({ id: charge, user, bill, expires: now + MONTH, payments: 1 });
    chat.payments.push(payment);
    this.setStars(user, chat.stars - stars);
    this.emit(user, 'payment', { payment });
    this.post(user, { successful_payment: { currency: 'XTR', total_amount: stars, telegram_payment_charge_id: charge, ...(bill.period ? { is_recurring: true, is_first_recurring: true } : {}) } }, { own: true });
    if (bill.title.startsWith('Credit of $')) this.post(user, `Thank you. Added: ${bill.title.slice('Credit of '.length)}.`);
    return json({ payment });
  }

  setStars(user, stars) {
    this.chats.get(user).stars = stars;
    this.emit(user, 'stars', { stars });
  }

  refund(charge) {
    for (const [user, chat] of this.chats) {
      const payment = chat.payments.find((p) => p.charge === charge);
      if (!payment) continue;
      payment.refunded = Math.floor(Date.now() / 1000);
      this.emit(user, 'payment', { payment });
      this.post(user, { refunded_payment: { currency: 'XTR', total_amount: payment.stars, telegram_payment_charge_id: charge } });
    }
    return { ok: true };
  }

  subscribe(user, id, action) {
    const subscription = this.chats.get(user).subscriptions.find((s) => s.id === id);
    subscription.canceled = action === 'cancel';
    if (action === 'renew') subscription.expires += MONTH;
    this.emit(user, 'subscription', { subscription });
    return { ok: true };
  }

  act(action, asked) {
    const { user, text, message_id, data, draft_id, reply_to, attachments, name, blocked, stars, charge, subscription, action: change } = asked;
    const chat = this.chats.get(user);
    this.asked.push([action, asked]);
    switch (action) {
      case 'topic': {
        const { message_id: thread } = this.post(user, { forum_topic_created: { name } }, { own: true, is_topic_message: true, message_thread_id: this.nextId });
        chat.topics = [...chat.topics ?? [], { thread, name }];
        this.emit(user, 'topics', { topics: chat.topics });
        return { thread };
      }
      case 'type':
        this.offers = null;
        return { inline_query_id: `q${this.asked.length}` };
      case 'choose': return { message: this.post(user, { text: asked.result, via_bot: BOT }, { own: true }) };
      case 'webapp': return { init_data: `user=%7B%22id%22%3A${user}%7D&button=${asked.button}&hash=00` };
      case 'stars':
        this.setStars(user, stars);
        return { ok: true };
      case 'refund': return this.refund(charge);
      case 'subscription': return this.subscribe(user, subscription, change);
      case 'users': return { user: this.addUser(name) };
      case 'start': case 'send': {
        const said = action === 'start' ? '/start' : text ?? '';
        if (attachments) this.attached = attachments;
        chat.started = true;
        const command = /^\/\w+/.exec(said);
        const entities = command ? [{ type: 'bot_command', offset: 0, length: command[0].length }] : [];
        const topic = asked.thread ? { is_topic_message: true, message_thread_id: asked.thread } : {};
        const message = this.post(user, { text: said, entities }, { own: true, ...topic, ...(reply_to ? { reply_to_message: chat.messages.find((m) => m.message_id === reply_to) } : {}) });
        this.react(user, said);
        return { message };
      }
      case 'edit': return { message: this.edit(user, message_id, { text, entities: [] }) };
      case 'press': {
        this.presses += 1;
        const id = String(this.presses);
        this.later(this.frameMs, () => this.emit(user, 'callback_answer', { callback_query_id: id, message_id, text: `You pressed ${data}.`, show_alert: data.startsWith('alert'), url: '' }));
        return { callback_query_id: id };
      }
      case 'stop':
        if (chat.draft?.draft_id === draft_id) this.endDraft(user, 'stopped');
        return { ok: true };
      case 'block':
        chat.blocked = blocked;
        this.emit(user, 'blocked', { blocked, started: chat.started });
        return { ok: true, blocked };
      default: throw new Error(`no such call: ${action}`);
    }
  }

  async api(request, url, json) {
    if (request.headers.authorization !== `Bearer ${this.key}`) return json({ error: { message: 'Incorrect API key.' } }, 401);
    if (url.pathname === '/v1/models') return json({ object: 'list', data: [{ id: 'sim', object: 'model' }] });
    await body(request);
    return json({ choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' } }], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } }, 200, { 'X-Cost-USD': '0.00000255' });
  }
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const fake = await new Fake().listen(Number(process.env.PORT ?? 0));
  console.log(fake.url);
}
