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

const state = (user, more = '') => call(`/sim/state?user=${user}${more}`);

export const people = () => call('/sim/users');
export const older = (user, before) => state(user, `&before=${before}`);
export const addPerson = (name) => call('/sim/users', { name });
export const start = (user) => call('/sim/start', { user });
export const edit = (user, messageId, text) => call('/sim/edit', { user, message_id: messageId, text });
export const press = (user, messageId, data) => call('/sim/press', { user, message_id: messageId, data });
export const stop = (user, draftId) => call('/sim/stop', { user, draft_id: draftId });
export const block = (user, blocked) => call('/sim/block', { user, blocked });

export const stars = (user, charge = '') => call(`/sim/stars?user=${user}&charge=${encodeURIComponent(charge)}`);
export const setStars = (user, amount) => call('/sim/stars', { user, stars: amount });
export const invoice = (link) => call(`/sim/invoice?link=${encodeURIComponent(link)}`);
export const pay = (user, what) => call('/sim/pay', { user, ...what });
export const refund = (charge) => call('/sim/refund', { charge });
export const subscription = (user, id, action) => call('/sim/subscription', { user, subscription: id, action });

export function send(user, text, replyTo) {
  return call('/sim/send', replyTo ? { user, text, reply_to: replyTo } : { user, text });
}

/**
 * Follows one user's events until the returned function is called. The stream is
 * opened first and the state loaded then, so that nothing falls between them;
 * when the connection breaks, both begin anew.
 */
export function follow(user, { onState, onEvent, onStatus }) {
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
    const mine = new EventSource(`/sim/events?user=${user}`);
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
        const now = await state(user);
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
