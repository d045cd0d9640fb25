// Stress: more and more, in steps, until two and a half thousand calls a second.
import exec from 'k6/execution';
import { mix } from './lib/calls.js';
import { options as bounded, arriving, clients, mixed, scaled, seconds, stages, summary, unsent } from './lib/settings.js';

const steps = [500, 1000, 1500, 2000, 2500];

// A step is entered in a tenth of its time and held for the rest.
const parts = stages(seconds(300), steps.flatMap((rate) => [[rate, 0.1], [rate, 0.9]]));

export const options = bounded({
  stress: {
    executor: 'ramping-arrival-rate', startRate: scaled(steps[0]), timeUnit: '1s',
    preAllocatedVUs: clients(60), maxVUs: clients(600),
    stages: parts,
  },
}, { ...mixed, ...unsent(arriving(scaled(steps[0]), parts)) });

export default function () {
  return mix(exec.scenario.iterationInTest);
}

export const handleSummary = summary;
