// What every script is told by its environment, and the bounds that all of them keep.
import { SharedArray } from 'k6/data';

// base is the site's address, without a slash at its end.
export const base = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/\/+$/, '');

// keys are the API keys to call with: KEYS_FILE names a JSON array of them, by its whole path.
export const keys = new SharedArray('keys', () => (__ENV.KEYS_FILE ? JSON.parse(open(__ENV.KEYS_FILE)) : []));

// model is what completions are asked of.
export const model = __ENV.MODEL || 'gpt-4o-mini';

// botToken signs what Telegram would say of people; only a site of one's own can be given it.
export const botToken = __ENV.BOT_TOKEN || '';

// patience is how many seconds what was paid may take to be in the ledger and heard of;
// bounds on how long it did take are the scripts'.
export const patience = positive('PATIENCE', 5);

const scale = positive('SCALE', 1);
const told = __ENV.DURATION ? positive('DURATION', 0) : 0;

function positive(name, otherwise) {
  const text = __ENV[name];
  if (!text) return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0, not ${JSON.stringify(text)}`);
  return value;
}

// seconds is how long a load lasts: what DURATION says, else what is usual for it.
export function seconds(usual) {
  return told || usual;
}

// scaled is a rate or a number of clients, times SCALE, and at least one.
export function scaled(n) {
  return Math.max(1, Math.round(n * scale));
}

// clients is how many of them there are for a load whose calls begin when they are due: times
// SCALE, but never fewer, since a slow answer keeps a client at any rate.
export function clients(n) {
  return Math.max(n, scaled(n));
}

// stages cut the seconds of a load into parts: [target, share] each.
export function stages(total, parts) {
  const all = parts.reduce((sum, [, share]) => sum + share, 0);
  return parts.map(([target, share]) => ({ target: scaled(target), duration: `${Math.max(1, Math.round((1000 * total * share) / all))}ms` }));
}

// arriving is how many calls stages ask for, from a rate at the start.
export function arriving(startRate, parts) {
  let from = startRate;
  return parts.reduce((sum, { target, duration }) => {
    const calls = ((from + target) / 2) * (parseFloat(duration) / 1000);
    from = target;
    return sum + calls;
  }, 0);
}

// options are what k6 is told: the scenarios, the bounds that hold for every load, and more
// bounds of its own. Bodies are thrown away unread unless a call asks for its own.
export function options(scenarios, more = {}) {
  return {
    scenarios,
    thresholds: {
      http_req_duration: ['p(95)<500', 'p(99)<1000'],
      http_req_failed: ['rate<0.01'],
      checks: ['rate>0.99'],
      ...more,
    },
    discardResponseBodies: true,
    summaryTrendStats: ['count', 'med', 'p(95)', 'p(99)', 'max'],
    setupTimeout: '60s',
  };
}

// mixed are the bounds of each kind of call in the mix.
export const mixed = {
  'http_req_duration{name:balance}': ['p(95)<500', 'p(99)<1000'],
  'http_req_duration{name:usage}': ['p(95)<500', 'p(99)<1000'],
  'http_req_duration{name:proxy}': ['p(95)<500', 'p(99)<1000'],
};

// unsent bounds the calls that no client was free to make: a load that is not offered
// proves nothing.
export function unsent(planned) {
  return { dropped_iterations: [`count<=${Math.ceil(planned / 100)}`] };
}

// summary leaves all figures in the file that SUMMARY names, and says on the terminal
// which bounds were kept.
export function summary(data) {
  const lines = [];
  for (const [metric, { thresholds }] of Object.entries(data.metrics)) {
    for (const [bound, { ok }] of Object.entries(thresholds || {})) {
      lines.push(`${ok ? 'kept  ' : 'MISSED'} ${metric}: ${bound}`);
    }
  }
  const out = { stdout: `${lines.sort().join('\n')}\n` };
  if (__ENV.SUMMARY) out[__ENV.SUMMARY] = JSON.stringify(data);
  return out;
}
