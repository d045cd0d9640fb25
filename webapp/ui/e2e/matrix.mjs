// Walks every screen and every action in all sizes, themes and directions, and what is odd
// besides. It needs what walk.mjs needs, and what odd.mjs names. ONLY=desktop-dark takes but
// the walks whose name has that.

import { walkAll } from './kit.mjs';
import { twoTabs, wrongClock, zones } from './odd.mjs';
import { outside } from './outside.mjs';
import { person } from './person.mjs';

const walks = { twoTabs, wrongClock, zones, outside };
for (const size of ['phone', 'desktop']) {
  for (const theme of ['light', 'dark']) {
    for (const language of ['en', 'ar']) walks[`${size}-${theme}-${language}`] = person({ size, theme, language, thorough: true });
  }
}
const only = process.env.ONLY ?? '';
await walkAll(...Object.keys(walks).filter((name) => name.includes(only)).map((name) => walks[name]));
