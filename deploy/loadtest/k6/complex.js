// Complex: a person nobody has seen before opens the Mini App, makes a key, and calls with
// it: balance, completion, usage, until the ledger shows the call. Then the key is revoked.
import exec from 'k6/execution';
import { check } from 'k6';
import { Rate, Trend } from 'k6/metrics';
import { balance, completion, makeKey, revokeKey, usage } from './lib/calls.js';
import { firstPerson, session } from './lib/people.js';
import { pause } from './lib/pause.js';
import { options as bounded, clients, patience, scaled, seconds, summary, unsent } from './lib/settings.js';

const rate = scaled(20);
const length = seconds(180);

const whole = new Rate('walks_ended_well');
const walks = new Trend('walk_duration', true);
const booked = new Trend('booked_after', true);

export const options = bounded({
  complex: {
    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${length}s`,
    preAllocatedVUs: clients(40), maxVUs: clients(200),
  },
}, {
  ...unsent(rate * length),
  walks_ended_well: ['rate>0.99'],
  booked_after: ['p(95)<1000'],
});

export function setup() {
  return { first: firstPerson() };
}

export default async function ({ first }) {
  const person = first + exec.scenario.iterationInTest;
  const began = Date.now();
  const well = await walk(person);
  whole.add(well);
  if (well) walks.add(Date.now() - began);
}

async function walk(person) {
  const token = await session(person);
  const made = token && await makeKey(token, 'load');
  if (!made) return false;
  const funds = await balance(made.key);
  if (funds.status !== 200 || !(funds.json('available_nano_usd') > 0)) return false;
  const paid = await completion(made.key);
  const well = paid.status === 200 && await shown(made.key);
  await revokeKey(token, made.id);
  return well;
}

// shown waits until the usage has the call.
async function shown(key) {
  const since = Date.now();
  for (;;) {
    const told = await usage(key, true);
    const calls = told.status === 200 ? told.json('total.calls') : 0;
    if (calls === 1 || Date.now() - since > 1000 * patience) {
      booked.add(Date.now() - since);
      return check(calls, { 'the ledger has the call': (n) => n === 1 });
    }
    await pause(0.1);
  }
}

export const handleSummary = summary;
