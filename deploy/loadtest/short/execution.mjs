// k6/execution: which iteration of which scenario a line of a script runs in, however much
// it has waited for meanwhile.
import { AsyncLocalStorage } from 'node:async_hooks';

const place = new AsyncLocalStorage();

// within runs an iteration at its place: { scenario, iteration }.
export function within(here, run) {
  return place.run(here, run);
}

// scenarioName is '' outside of all scenarios, as in setup.
export function scenarioName() {
  return place.getStore()?.scenario ?? '';
}

export default {
  scenario: {
    get name() {
      return scenarioName();
    },
    get iterationInTest() {
      const here = place.getStore();
      if (!here) throw new Error('no iteration runs here');
      return here.iteration;
    },
  },
};
