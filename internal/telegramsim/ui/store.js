// What the page knows of one chat, kept by the events that change it. No view
// and no network here.

const TYPING_SECONDS = 5;

export function createStore({ now = () => Date.now(), later = setTimeout, never = clearTimeout } = {}) {
  const listeners = new Map();
  let typingTimer = 0;
  const s = empty();

  /** Calls fn with the details of every change of the given kinds, until the returned function is called. */
  function on(kinds, fn) {
    const all = kinds.split(' ');
    for (const kind of all) {
      if (!listeners.has(kind)) listeners.set(kind, new Set());
      listeners.get(kind).add(fn);
    }
    return () => all.forEach((kind) => listeners.get(kind).delete(fn));
  }

  function tell(kind, detail) {
    for (const fn of listeners.get(kind) ?? []) fn(detail, kind);
  }

  /** Replaces everything by what GET /sim/state answered. */
  function load(state) {
    never(typingTimer);
    Object.assign(s, empty(), {
      connection: s.connection,
      users: s.users,
      user: state.user,
      bot: state.bot,
      chat: state.chat,
      started: state.started,
      blocked: state.blocked,
      messages: state.messages ?? [],
      draft: state.draft ?? null,
      keyboard: state.keyboard ?? null,
      commands: state.commands ?? [],
      menuButton: state.menu_button ?? { type: 'default' },
      pending: state.pending ?? 0,
      stars: state.stars ?? 0,
      payments: state.payments ?? [],
      error: state.webhook?.last_error_message ?? '',
    });
    s.hasOlder = s.messages.length >= 200;
    markRead();
    tell('reset');
    setTyping(state.typing ? TYPING_SECONDS : 0);
  }

  /** Puts older messages before those already there. */
  function prepend(messages, payments = []) {
    s.payments = [...payments.filter((p) => !s.payments.some((known) => known.charge === p.charge)), ...s.payments];
    const first = s.messages[0]?.message_id ?? Infinity;
    const fresh = messages.filter((m) => m.message_id < first);
    s.messages = [...fresh, ...s.messages];
    s.hasOlder = messages.length >= 200;
    tell('older', fresh);
  }

  /** Applies one event; those of the person's other chats are left out. */
  function apply(event) {
    if (event.chat_id && s.chat && event.chat_id !== s.chat.id) return undefined;
    switch (event.type) {
      case 'message': return addMessage(event.message);
      case 'edit': return replaceMessage(event.message);
      case 'delete':
        s.messages = s.messages.filter((m) => m.message_id !== event.message_id);
        return tell('delete', event.message_id);
      case 'draft':
        s.draft = event.draft;
        setTyping(0);
        return tell('draft');
      case 'draft_end':
        if (s.draft && s.draft.draft_id !== event.draft_id) return undefined;
        s.draft = null;
        return tell('draft_end', event.reason);
      case 'typing': return setTyping(event.seconds ?? TYPING_SECONDS);
      case 'callback_answer': return tell('callback', event);
      case 'commands':
        s.commands = event.commands ?? [];
        return tell('composer');
      case 'menu_button':
        s.menuButton = event.menu_button ?? { type: 'default' };
        return tell('composer');
      case 'keyboard':
        s.keyboard = event.keyboard ?? null;
        return tell('composer');
      case 'pending':
        s.pending = event.pending;
        s.error = event.last_error_message ?? '';
        markRead();
        return tell('pending');
      case 'blocked':
        s.blocked = event.blocked;
        s.started = event.started ?? s.started;
        return tell('composer');
      case 'stars':
        s.stars = event.stars;
        return tell('stars');
      case 'payment':
        s.payments = [...s.payments.filter((p) => p.charge !== event.payment.charge), event.payment];
        return tell('payment', event.payment);
      case 'subscription': return tell('subscription', event.subscription);
      case 'user':
        return setUsers([...s.users.filter((u) => u.id !== event.user.id), event.user]);
      default: return undefined; // a newer simulator may say more
    }
  }

  function addMessage(message) {
    if (s.messages.some((m) => m.message_id === message.message_id)) return replaceMessage(message);
    if (message.from?.is_bot) setTyping(0);
    const at = s.messages.findLastIndex((m) => m.message_id < message.message_id);
    s.messages = s.messages.toSpliced(at + 1, 0, message);
    const wasStarted = s.started;
    s.started = true;
    markRead();
    tell('message', message);
    if (!wasStarted) tell('composer');
    return undefined;
  }

  function replaceMessage(message) {
    const at = s.messages.findIndex((m) => m.message_id === message.message_id);
    if (at < 0) return;
    s.messages = s.messages.with(at, message);
    tell('edit', message);
  }

  function setTyping(seconds) {
    never(typingTimer);
    s.typingUntil = seconds > 0 ? now() + seconds * 1000 : 0;
    if (seconds > 0) {
      typingTimer = later(() => {
        s.typingUntil = 0;
        tell('status');
      }, seconds * 1000);
    }
    tell('status');
  }

  // Everything is read when no update waits, and what precedes a bot's message is.
  function markRead() {
    const last = s.pending === 0 ? s.messages.at(-1) : s.messages.findLast((m) => m.from?.is_bot);
    const upTo = Math.max(s.readUpTo, last?.message_id ?? 0);
    if (upTo === s.readUpTo) return;
    s.readUpTo = upTo;
    tell('read');
  }

  function setConnection(connection) {
    s.connection = connection;
    tell('status');
  }

  function setUsers(users) {
    s.users = users.toSorted((a, b) => a.id - b.id);
    tell('people');
  }

  return { state: s, on, load, prepend, apply, setConnection, setUsers };
}

function empty() {
  return {
    connection: 'connecting',
    users: [],
    user: null,
    bot: null,
    chat: null,
    started: false,
    blocked: false,
    messages: [],
    hasOlder: false,
    draft: null,
    typingUntil: 0,
    keyboard: null,
    commands: [],
    menuButton: { type: 'default' },
    pending: 0,
    stars: 0,
    payments: [],
    error: '',
    readUpTo: 0,
  };
}
