// Endurance of the API: the mix at 2,000 calls a second for ten minutes.
import exec from 'k6/execution';
import { mix } from './lib/calls.js';
import { options as bounded, clients, mixed, scaled, seconds, summary, unsent } from './lib/settings.js';

const rate = scaled(2000);
const length = seconds(600);

export const options = bounded({
  api: {
    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${length}s`,
    preAllocatedVUs: clients(100), maxVUs: clients(600),
  },
}, { ...mixed, ...unsent(rate * length) });

export default function () {
  return mix(exec.scenario.iterationInTest);
}

export const handleSummary = summary;
