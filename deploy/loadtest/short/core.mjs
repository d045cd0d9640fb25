// k6, k6/data and k6/timers.
import { builtin } from './metrics.mjs';

// check counts each of its conditions and says whether all hold.
export function check(value, conditions) {
  let all = true;
  for (const [name, holds] of Object.entries(conditions)) {
    const ok = Boolean(holds(value));
    builtin.checks.add(ok, { check: name });
    all &&= ok;
  }
  return all;
}

// SharedArray is made once and read by all.
export const SharedArray = function SharedArray(name, make) {
  const made = make();
  if (!Array.isArray(made)) throw new TypeError(`${name} is not an array`);
  return Object.freeze(made);
};

export const { setTimeout, clearTimeout } = globalThis;
