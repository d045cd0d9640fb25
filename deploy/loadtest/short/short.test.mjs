import assert from 'node:assert/strict';
import test from 'node:test';
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';
import { arrivals, execute, milliseconds } from './executors.mjs';
import { summarise } from './metrics.mjs';

const bounds = (of) => Object.fromEntries(Object.entries(of.thresholds).map(([text, { ok }]) => [text, ok]));

test('a trend is told by percentiles between neighbours', () => {
  const trend = new Trend('waited', true);
  for (const value of [5, 1, 4, 2, 3]) trend.add(value, { name: value > 3 ? 'late' : 'early' });
  const { metrics } = summarise({ waited: ['p(95)<4.9', 'p(95)<4.7', 'max<=5'], 'waited{name:early}': ['max<4'] }, 1000);
  assert.deepEqual([metrics.waited.values.med, metrics.waited.values.count], [3, 5]);
  assert.ok(Math.abs(metrics.waited.values['p(95)'] - 4.8) < 1e-9);
  assert.deepEqual(bounds(metrics.waited), { 'p(95)<4.9': true, 'p(95)<4.7': false, 'max<=5': true });
  assert.deepEqual(bounds(metrics['waited{name:early}']), { 'max<4': true });
});

test('a bound on what never happened is missed, but for a count', () => {
  new Rate('never');
  new Trend('not_once');
  new Counter('none');
  const { metrics } = summarise({ never: ['rate>0.99', 'rate<0.01'], not_once: ['p(95)<1'], none: ['count<1'] }, 1000);
  assert.deepEqual([bounds(metrics.never), bounds(metrics.not_once), bounds(metrics.none)],
    [{ 'rate>0.99': false, 'rate<0.01': false }, { 'p(95)<1': false }, { 'count<1': true }]);
  assert.throws(() => summarise({ unheard_of: ['count<1'] }, 1000), /no metric/);
  assert.throws(() => summarise({ none: ['p(95)<1'] }, 1000), /no bound/);
});

test('checks count each condition', () => {
  assert.equal(check(3, { odd: (n) => n % 2 === 1, large: (n) => n > 5 }), false);
  assert.equal(check(7, { odd: (n) => n % 2 === 1, large: (n) => n > 5 }), true);
  assert.deepEqual(summarise({}, 1000).metrics.checks.values, { rate: 0.75, passes: 3, fails: 1 });
});

test('arrivals follow the rate, also where it changes', () => {
  const { length, due } = arrivals([[1000, 0, 100], [500, 100, 100]], milliseconds('1s'));
  assert.equal(length, 1500);
  assert.deepEqual([due(0), due(500), due(1000), due(1500)], [0, 12.5, 50, 100]);
});

test('iterations keep their place while they wait, and those too many are dropped', async () => {
  const seen = [];
  const script = {
    default: async () => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      seen.push(exec.scenario.iterationInTest);
    },
  };
  const failed = (error) => assert.fail(error);
  await execute('pace', { executor: 'constant-arrival-rate', rate: 50, timeUnit: '1s', duration: '200ms', maxVUs: 1000 }, script, null, failed);
  assert.deepEqual(seen.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await execute('crowd', { executor: 'constant-arrival-rate', rate: 50, timeUnit: '1s', duration: '200ms', maxVUs: 1 }, script, null, failed);
  const { dropped_iterations: dropped } = summarise({}, 1000).metrics;
  assert.ok(dropped.values.count > 0 && dropped.values.count + seen.length === 20, `${dropped.values.count} dropped, ${seen.length} made`);
});

test('what is no module here is an error', async () => {
  await assert.rejects(import('k6/browser'), /not among the modules/);
  await assert.rejects(execute('odd', { executor: 'externally-controlled', duration: '1s' }, {}, null, () => {}), /not among the executors/);
});
