// node --import ./register.mjs run.mjs ../k6/constant.js: runs one of the scripts for some
// seconds, without k6. It ends with 0, with 99 where a bound was missed (as k6 does), and
// with 1 where the script itself failed.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { execute } from './executors.mjs';
import { summarise } from './metrics.mjs';

const script = await import(pathToFileURL(path.resolve(process.argv[2])));
const data = script.setup ? await script.setup() : undefined;
let fault;
const began = performance.now();
await Promise.all(Object.entries(script.options.scenarios).map(([name, settings]) =>
  execute(name, settings, script, data, (error) => {
    fault ??= error;
  })));
if (fault) throw fault;
const told = summarise(script.options.thresholds, performance.now() - began);
for (const [name, text] of Object.entries(script.handleSummary(told))) {
  if (name === 'stdout') process.stdout.write(text);
  else writeFileSync(name, text);
}
const kept = Object.values(told.metrics).every(({ thresholds = {} }) => Object.values(thresholds).every(({ ok }) => ok));
process.exit(kept ? 0 : 99); // timers and idle connections keep nobody
