// Spike: ten times the usual rate from one moment to the next, and back. What comes after
// the spike has bounds of its own: a site that has not recovered misses them.
import exec from 'k6/execution';
import { mix } from './lib/calls.js';
import { options as bounded, arriving, clients, mixed, scaled, seconds, stages, summary, unsent } from './lib/settings.js';

const quiet = 150;
const loud = 1500;
const length = seconds(120);
const before = length * 0.3;
const spike = length * 0.35;

const parts = stages(before + spike, [[quiet, 0.29], [loud, 0.01], [loud, 0.35]]);
const pace = { timeUnit: '1s', preAllocatedVUs: clients(100), maxVUs: clients(400) };

export const options = bounded({
  spike: {
    ...pace, executor: 'ramping-arrival-rate', startRate: scaled(quiet),
    stages: parts,
  },
  after: {
    ...pace, executor: 'constant-arrival-rate', rate: scaled(quiet),
    startTime: `${Math.round(1000 * (before + spike))}ms`, duration: `${Math.round(1000 * (length - before - spike))}ms`,
  },
}, {
  ...mixed,
  ...unsent(arriving(scaled(quiet), parts) + scaled(quiet) * (length - before - spike)),
  'http_req_duration{scenario:after}': ['p(95)<500', 'p(99)<1000'],
  'http_req_failed{scenario:after}': ['rate<0.01'],
});

export default function () {
  return mix(exec.scenario.iterationInTest);
}

export const handleSummary = summary;
