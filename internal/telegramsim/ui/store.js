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
      chats: s.chats,
      started: state.started || state.chat.type !== 'private', // a group needs no Start
      blocked: state.blocked,
      messages: state.messages ?? [],
      draft: state.draft ?? null,
      keyboard: state.keyboard ?? null,
      keyboardOf: state.keyboard_of ?? 0,
      topics: state.topics ?? [],
      thread: s.chat?.id === state.chat.id && s.user?.id === state.user.id && state.topics?.some((t) => t.thread === s.thread) ? s.thread : 0,
      members: state.members ?? [],
      botGone: state.bot_gone ?? false,
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
    if (event.type === 'inline_answer') return tell('inline', event.callback_query_id); // whichever chat it was typed in
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
        s.keyboardOf = event.message_id ?? 0;
        return tell('composer');
      case 'topics': return setTopics(event.topics);
      case 'chat':
        s.chat = event.chat;
        return tell('topics');
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
    if (threadOf(message) !== s.thread) s.unread = { ...s.unread, [threadOf(message)]: (s.unread[threadOf(message)] ?? 0) + 1 };
    setMembers(message);
    const at = s.messages.findLastIndex((m) => m.message_id < message.message_id);
    s.messages = s.messages.toSpliced(at + 1, 0, message);
    const wasStarted = s.started;
    s.started = true;
    markRead();
    const answered = Boolean(s.keyboard?.force_reply) && message.from?.id === s.user?.id;
    if (answered) Object.assign(s, { keyboard: null, keyboardOf: 0 }); // what asked for words has them
    tell('message', message);
    if (threadOf(message) !== s.thread) tell('topics');
    if (!wasStarted || answered) tell('composer');
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

  function setTopics(topics) {
    s.topics = topics ?? [];
    const gone = s.thread !== 0 && !s.topics.some((t) => t.thread === s.thread);
    if (gone) s.thread = 0;
    tell('topics');
    if (gone) tell('thread');
  }

  /** Shows one topic's messages; 0 is what stands in none. */
  function setThread(thread) {
    s.thread = thread;
    const { [thread]: _, ...others } = s.unread;
    s.unread = others;
    tell('thread');
    tell('topics');
  }

  // Who comes to a group and who leaves it is said in it.
  function setMembers({ new_chat_members: came = [], left_chat_member: gone }) {
    s.members = [...s.members.filter((m) => m.id !== gone?.id && !came.some((c) => c.id === m.id)), ...(s.chat?.type === 'private' ? [] : came)];
  }

  /** Tells whether a message stands in the topic that is shown. */
  const shown = (message) => threadOf(message) === s.thread;

  /** Ends what asks for words without an answer, as closing the reply does. */
  function dismissKeyboard() {
    Object.assign(s, { keyboard: null, keyboardOf: 0 });
    tell('composer');
  }

  function setConnection(connection) {
    s.connection = connection;
    tell('status');
  }

  function setUsers(users) {
    s.users = users.toSorted((a, b) => a.id - b.id);
    tell('people');
  }

  function setChats(chats) {
    s.chats = chats;
    tell('people');
  }

  return { state: s, on, load, prepend, apply, setConnection, setUsers, setChats, setThread, shown, dismissKeyboard };
}

/** The topic that a message stands in, 0 for none. */
export const threadOf = (message) => (message.is_topic_message ? message.message_thread_id ?? 0 : 0);

function empty() {
  return {
    connection: 'connecting',
    users: [],
    chats: [],
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
    keyboardOf: 0,  // the message that the keyboard came with
    topics: [],     // {thread, name}
    thread: 0,      // the topic that is shown
    unread: {},     // messages by topic, of those not shown
    members: [],    // of a group, without the bot
    botGone: false, // of a group: the bot is not in it
    commands: [],
    menuButton: { type: 'default' },
    pending: 0,
    stars: 0,
    payments: [],
    error: '',
    readUpTo: 0,
  };
}
