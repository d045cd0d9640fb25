// The ways in which k6 begins iterations, as far as our scripts use them.
import { within } from './execution.mjs';
import { builtin } from './metrics.mjs';

const beat = 5; // milliseconds between two looks at what is due
const stopping = 60_000; // milliseconds for the last iterations to end

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// milliseconds of k6's durations, such as 1500ms, 90s, 3m.
export function milliseconds(text) {
  const [, n, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (!unit) throw new Error(`${JSON.stringify(text)} is no duration`);
  return Number(n) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit];
}

// arrivals says how many iterations are due so many milliseconds after the start, and how
// long they go on arriving. parts are [milliseconds, rate at their beginning, at their end].
export function arrivals(parts, unit) {
  const length = parts.reduce((sum, [span]) => sum + span, 0);
  const due = (at) => {
    let n = 0;
    let rest = at;
    for (const [span, from, to] of parts) {
      const here = Math.min(rest, span);
      n += (here * (from + ((to - from) * here) / (2 * span))) / unit;
      rest -= here;
      if (rest <= 0) break;
    }
    return n;
  };
  return { length, due };
}

async function arriving({ length, due }, most, begin) {
  const running = new Set();
  const started = performance.now();
  for (let begun = 0; ;) {
    const at = Math.min(performance.now() - started, length);
    for (const wanted = Math.floor(due(at)); begun < wanted; begun += 1) {
      if (running.size >= most) {
        builtin.dropped.add(1);
        continue;
      }
      const one = begin().finally(() => running.delete(one));
      running.add(one);
    }
    if (at >= length) break;
    await sleep(beat);
  }
  await Promise.all(running);
}

const executors = {
  'constant-arrival-rate': ({ rate, timeUnit, duration, maxVUs }, begin) =>
    arriving(arrivals([[milliseconds(duration), rate, rate]], milliseconds(timeUnit)), maxVUs, begin),
  'ramping-arrival-rate': ({ startRate, timeUnit, stages, maxVUs }, begin) => {
    let from = startRate;
    const parts = stages.map(({ target, duration }) => {
      const part = [milliseconds(duration), from, target];
      from = target;
      return part;
    });
    return arriving(arrivals(parts, milliseconds(timeUnit)), maxVUs, begin);
  },
  'per-vu-iterations': ({ vus, iterations }, begin) =>
    Promise.all(Array.from({ length: vus }, async () => {
      for (let i = 0; i < iterations; i += 1) await begin();
    })),
};

// execute runs one scenario of a script to its end. A script that throws has an iteration
// that failed, and so has failed itself.
export async function execute(scenario, settings, script, data, failed) {
  const executor = executors[settings.executor];
  if (!executor) throw new Error(`${settings.executor} is not among the executors that the short runs know`);
  if (settings.startTime) await sleep(milliseconds(settings.startTime));
  let iterations = 0;
  const begin = () => {
    const iteration = iterations;
    iterations += 1;
    return within({ scenario, iteration }, async () => {
      try {
        await script[settings.exec ?? 'default'](data);
        builtin.iterations.add(1);
      } catch (error) {
        failed(error);
      }
    });
  };
  const most = stopping + (settings.stages ?? [{ duration: settings.maxDuration ?? settings.duration ?? '10m' }])
    .reduce((sum, { duration }) => sum + milliseconds(duration), 0);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${scenario} did not end`)), most);
  });
  await Promise.race([executor(settings, begin), late]).finally(() => clearTimeout(timer));
}
