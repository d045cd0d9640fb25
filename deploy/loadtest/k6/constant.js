// Constant: the mix at one steady rate, fifty clients. Calls begin when they are due, whether
// or not those before have ended, so a slow answer is not hidden by a client that waits.
import exec from 'k6/execution';
import { mix } from './lib/calls.js';
import { options as bounded, clients, mixed, scaled, seconds, summary, unsent } from './lib/settings.js';

const rate = scaled(600);
const length = seconds(180);

export const options = bounded({
  constant: {
    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${length}s`,
    preAllocatedVUs: clients(50), maxVUs: clients(200),
  },
}, { ...mixed, ...unsent(rate * length) });

export default function () {
  return mix(exec.scenario.iterationInTest);
}

export const handleSummary = summary;
