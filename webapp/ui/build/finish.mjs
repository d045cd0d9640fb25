// After Vite: holds what was built to its budgets, and puts compressed copies beside it.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const KB = 1024;
// Bytes after gzip. The entry is every script that the page asks for before it shows anything.
const BUDGETS = { entry: 25 * KB, css: 6 * KB, chunk: 30 * KB };
const COMPRESSED = /\.(html|js|css|svg|json)$/;
const LEAST = 256; // bytes: below, a header outweighs what is saved

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else if (!/\.(br|gz)$/.test(name)) yield path;
  }
}

const sizes = new Map();
for (const path of files(DIST)) {
  const content = readFileSync(path);
  const zipped = gzipSync(content, { level: 9 });
  sizes.set(relative(DIST, path), zipped.length);
  if (!COMPRESSED.test(path) || content.length < LEAST) continue;
  const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } });
  for (const [ending, copy] of [['gz', zipped], ['br', brotli]]) {
    if (copy.length < content.length) writeFileSync(`${path}.${ending}`, copy);
  }
}

const page = readFileSync(join(DIST, 'index.html'), 'utf8');
const asked = [...page.matchAll(/(?:src|href)="\/webapp\/([^"]+)"/g)].map((match) => match[1]);
const sum = (names) => names.reduce((all, name) => all + sizes.get(name), 0);
const entry = asked.filter((name) => name.endsWith('.js'));
const styles = [...sizes.keys()].filter((name) => name.endsWith('.css'));
const chunks = [...sizes.keys()].filter((name) => name.endsWith('.js') && !entry.includes(name));

const faults = [];
const hold = (what, size, budget) => {
  console.log(`${String(size).padStart(7)} of ${String(budget).padStart(6)} bytes  ${what}`);
  if (size > budget) faults.push(`${what} is ${size} bytes after gzip, ${size - budget} too many`);
};
hold(`entry (${entry.length} files)`, sum(entry), BUDGETS.entry);
hold(`styles (${styles.length} files)`, sum(styles), BUDGETS.css);
for (const name of chunks.sort((a, b) => sizes.get(b) - sizes.get(a))) hold(name, sizes.get(name), BUDGETS.chunk);
if (/<(script|style)(?![^>]*\bsrc=)[^>]*>[^<]/.test(page) || /\son\w+=|\sstyle=/.test(page)) faults.push('index.html holds inline code, which its policy forbids');
if (entry.length === 0) faults.push('index.html asks for no script');
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
