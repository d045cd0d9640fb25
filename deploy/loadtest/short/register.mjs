// node --import ./register.mjs: scripts that are written for k6 find its modules here.
import { readFileSync } from 'node:fs';
import { register } from 'node:module';

register('./resolve.mjs', import.meta.url);
globalThis.__ENV = process.env;
globalThis.open = (path) => readFileSync(path, 'utf8');
