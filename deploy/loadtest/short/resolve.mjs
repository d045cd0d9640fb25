// k6's modules, as far as our scripts use them. Any other of its modules is an error.
const modules = new Map([
  ['k6', './core.mjs'],
  ['k6/crypto', './crypto.mjs'],
  ['k6/data', './core.mjs'],
  ['k6/execution', './execution.mjs'],
  ['k6/http', './http.mjs'],
  ['k6/metrics', './metrics.mjs'],
  ['k6/timers', './core.mjs'],
  ['k6/websockets', './websockets.mjs'],
]);

export function resolve(specifier, context, next) {
  const here = modules.get(specifier);
  if (here) return { url: new URL(here, import.meta.url).href, shortCircuit: true };
  if (specifier.startsWith('k6')) throw new Error(`${specifier} is not among the modules of k6 that the short runs know`);
  return next(specifier, context);
}
