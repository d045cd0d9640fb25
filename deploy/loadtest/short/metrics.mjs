// k6/metrics, and the figures that come of them. Every sample is kept: short runs have few.
import { scenarioName } from './execution.mjs';

const registry = new Map();

class Metric {
  constructor(name, type, contains) {
    if (registry.has(name)) throw new Error(`two metrics are called ${name}`);
    Object.assign(this, { name, type, contains, samples: [] });
    registry.set(name, this);
  }

  add(value, tags = {}) {
    this.samples.push({ value: Number(value), tags: { scenario: scenarioName(), ...tags } });
  }
}

const kind = (type) => class extends Metric {
  constructor(name, isTime = false) {
    super(name, type, isTime ? 'time' : 'default');
  }
};

export const Counter = kind('counter');
export const Rate = kind('rate');
export const Trend = kind('trend');

export const builtin = {
  checks: new Rate('checks'),
  dropped: new Counter('dropped_iterations'),
  iterations: new Counter('iterations'),
  requests: new Counter('http_reqs'),
  failed: new Rate('http_req_failed'),
  duration: new Trend('http_req_duration', true),
};

// percentile of sorted values, between two neighbours where it falls between them.
function percentile(sorted, p) {
  const at = (p / 100) * (sorted.length - 1);
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

const figures = {
  counter: (values, seconds) => {
    const count = values.reduce((sum, value) => sum + value, 0);
    return { count, rate: count / seconds };
  },
  rate: (values) => {
    const passes = values.filter(Boolean).length;
    return { rate: values.length ? passes / values.length : NaN, passes, fails: values.length - passes };
  },
  trend: (values) => {
    const sorted = values.toSorted((a, b) => a - b);
    const stats = { count: sorted.length, min: sorted[0], avg: values.reduce((sum, value) => sum + value, 0) / values.length, max: sorted.at(-1), med: percentile(sorted, 50) };
    for (const p of [90, 95, 99]) stats[`p(${p})`] = percentile(sorted, p);
    return stats;
  },
};

const selection = /^(\w+)(?:\{(\w+):([^}]*)\})?$/;
const bound = /^(count|rate|min|avg|med|max|p\(\d+\))\s*(<=|<|>=|>)\s*(\d+(?:\.\d+)?)$/;
const compare = { '<': (a, b) => a < b, '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b };

// summarise is what handleSummary is given: every metric with samples or bounds, with the
// bounds that were kept. A bound on what never happened is missed, but for a count.
export function summarise(thresholds, milliseconds) {
  const metrics = {};
  const report = (name, metric, samples) => {
    metrics[name] = { type: metric.type, contains: metric.contains, values: figures[metric.type](samples.map(({ value }) => value), milliseconds / 1000) };
    return metrics[name];
  };
  for (const metric of registry.values()) {
    if (metric.samples.length) report(metric.name, metric, metric.samples);
  }
  for (const [of, bounds] of Object.entries(thresholds)) {
    const [, name, tag, value] = selection.exec(of) ?? [];
    const metric = registry.get(name);
    if (!metric) throw new Error(`a bound is on ${of}, which is no metric`);
    const told = metrics[of] ?? report(of, metric, tag ? metric.samples.filter(({ tags }) => tags[tag] === value) : metric.samples);
    told.thresholds = {};
    for (const text of bounds) {
      const [, stat, sign, limit] = bound.exec(text) ?? [];
      if (!stat || !(stat in told.values)) throw new Error(`${JSON.stringify(text)} is no bound of ${of}`);
      told.thresholds[text] = { ok: compare[sign](told.values[stat], Number(limit)) };
    }
  }
  return { metrics, state: { testRunDurationMs: milliseconds } };
}
