// Walks the app against a running KikuAI, as a person would: every screen and every action,
// inside a frame of another site, with storage and clipboard blocked, under the server's own
// policy. Prints {"ok": true, "steps": […]}; exits 1 with what went wrong. kit.mjs tells what
// it needs of the environment; matrix.mjs walks all sizes, themes and directions.

import { walkAll } from './kit.mjs';
import { outside } from './outside.mjs';
import { glance, person } from './person.mjs';

await walkAll(
  person({ size: 'phone', theme: 'light', language: 'en' }),
  glance({ size: 'desktop', theme: 'dark', language: 'ar' }),
  outside,
);
