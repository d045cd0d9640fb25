// Simultaneous: a hundred clients that all call at the same moment, four calls of the mix
// each, once a second.
import exec from 'k6/execution';
import { mix, severalAtATime } from './lib/calls.js';
import { pause } from './lib/pause.js';
import { mixed, options as bounded, scaled, seconds, summary } from './lib/settings.js';

severalAtATime();

const clients = scaled(100);
const together = 4;
const rounds = Math.max(1, Math.round(seconds(120)));

export const options = bounded({
  simultaneous: {
    executor: 'per-vu-iterations', vus: clients, iterations: 1, maxDuration: `${2 * rounds + 60}s`,
  },
}, mixed);

// The moments are whole seconds of the clock that all clients have in common.
export function setup() {
  return { first: Math.ceil(Date.now() / 1000) + 1 };
}

export default async function ({ first }) {
  const client = exec.scenario.iterationInTest;
  for (let round = 0; round < rounds; round += 1) {
    const early = first + round - Date.now() / 1000;
    if (early > 0) await pause(early);
    const calls = [];
    for (let i = 0; i < together; i += 1) calls.push(mix((round * clients + client) * together + i));
    await Promise.all(calls);
  }
}

export const handleSummary = summary;
