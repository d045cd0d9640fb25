// Endurance of the ledger: a thousand paid calls a second for five minutes, each a
// transaction of its own in Postgres.
import exec from 'k6/execution';
import { keyOf, proxy } from './lib/calls.js';
import { options as bounded, clients, scaled, seconds, summary, unsent } from './lib/settings.js';

const rate = scaled(1000);
const length = seconds(300);

export const options = bounded({
  ledger: {
    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${length}s`,
    preAllocatedVUs: clients(100), maxVUs: clients(400),
  },
}, unsent(rate * length));

export default function () {
  return proxy(keyOf(exec.scenario.iterationInTest));
}

export const handleSummary = summary;
