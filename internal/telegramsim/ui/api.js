// The simulator's page API (PAGE.md) as functions.

const RETRY_MS = [300, 700, 1500, 3000, 5000]; // between attempts to reconnect
const CALL_TIMEOUT_MS = 15000;

async function call(path, body) {
  const init = { signal: AbortSignal.timeout(CALL_TIMEOUT_MS), headers: {} };
  if (body !== undefined) {
    init.method = 'POST';
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Error('The simulator does not answer. Is it still running?');
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || answer === null) {
    const failure = new Error(answer?.error ?? `The simulator answered with status ${response.status}.`);
    failure.status = response.status;
    throw failure;
  }
  return answer;
}

// Who acts where is {user, chat, thread}: without a chat it is the private one with the bot, without a thread no topic.
const state = ({ user, chat }, more = '') => call(`/sim/state?user=${user}${chat ? `&chat=${chat}` : ''}${more}`);

export const people = () => call('/sim/users');
export const older = (who, before) => state(who, `&before=${before}`);
export const addPerson = (name) => call('/sim/users', { name });
export const chats = (user) => call(`/sim/chats?user=${user}`);
export const addGroup = (name, members) => call('/sim/group', { name, members, chat_type: 'group' });
export const upgrade = (who) => call('/sim/upgrade', who);
export const join = (user, chat) => call('/sim/join', { user, chat });
export const leave = (who) => call('/sim/leave', who);
export const setBot = (who, present) => call('/sim/bot', { ...who, present });
export const forum = (chat) => call('/sim/forum', { chat });
export const topic = (who, name) => call('/sim/topic', { ...who, name });
export const type = (user, kind, text) => call('/sim/type', { user, chat_type: kind, text });
export const offered = (query) => call(`/sim/inline?id=${encodeURIComponent(query)}`);
export const choose = (who, query, result) => call('/sim/choose', { ...who, query, result });
export const launch = (who, button, payload) => call('/sim/webapp', { ...who, button, payload });
export const start = (user, payload) => call('/sim/start', { user, payload });
export const send = (who, content) => call('/sim/send', { ...who, ...content });
export const edit = (who, messageId, text) => call('/sim/edit', { ...who, message_id: messageId, text });
export const press = (who, messageId, data) => call('/sim/press', { ...who, message_id: messageId, data });
export const stop = (user, draftId) => call('/sim/stop', { user, draft_id: draftId });
export const block = (user, blocked) => call('/sim/block', { user, blocked });

export const stars = (user, charge = '') => call(`/sim/stars?user=${user}&charge=${encodeURIComponent(charge)}`);
export const setStars = (user, amount) => call('/sim/stars', { user, stars: amount });
export const invoice = (link) => call(`/sim/invoice?link=${encodeURIComponent(link)}`);
export const pay = (user, what) => call('/sim/pay', { user, ...what });
export const refund = (charge) => call('/sim/refund', { charge });
export const subscription = (user, id, action) => call('/sim/subscription', { user, subscription: id, action });

/**
 * Follows what one person sees of one chat until the returned function is called. The stream is
 * opened first and the state loaded then, so that nothing falls between them;
 * when the connection breaks, both begin anew.
 */
export function follow(who, { onState, onEvent, onStatus }) {
  let source = null;
  let timer = 0;
  let attempt = 0;
  let ended = false;

  const again = () => {
    source?.close();
    source = null;
    if (ended) return;
    onStatus(attempt === 0 ? 'connecting' : 'lost');
    timer = setTimeout(open, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    attempt += 1;
  };

  function open() {
    const mine = new EventSource(`/sim/events?user=${who.user}`);
    source = mine;
    let early = []; // events that came before the state; null once it is there
    let seq = 0;
    const apply = (event) => {
      if (event.seq <= seq) return;
      seq = event.seq;
      onEvent(event);
    };
    mine.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (early) early.push(event);
      else apply(event);
    };
    mine.onerror = () => {
      if (source === mine) again();
    };
    mine.onopen = async () => {
      try {
        const now = await state(who);
        if (source !== mine) return;
        attempt = 0;
        seq = now.seq;
        onState(now);
        onStatus('online');
        const waiting = early;
        early = null;
        waiting.forEach(apply);
      } catch {
        if (source === mine) again();
      }
    };
  }

  onStatus('connecting');
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source?.close();
    source = null;
  };
}
