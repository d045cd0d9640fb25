// How sizes are told.

const STEP = 1024;
const UNITS = ['B', 'KB', 'MB', 'GB'];

/** Bytes as a person reads them: 1.4 MB. */
export function size(bytes) {
  let at = 0;
  let value = bytes;
  while (value >= STEP && at < UNITS.length - 1) {
    value /= STEP;
    at += 1;
  }
  return `${at === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[at]}`;
}
