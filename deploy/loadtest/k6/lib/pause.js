import { setTimeout } from 'k6/timers';

// pause waits without keeping the client's other work from going on.
export function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
