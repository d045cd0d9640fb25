// Where the user is, in the query of the address: ?at=activity&model=gpt-4o. The fragment is
// Telegram's and stays, so that reloading the page keeps who the user is.

import { signal } from '@preact/signals';

export const TABS = ['home', 'activity', 'keys', 'play', 'settings'] as const;
export const SCREENS = [...TABS, 'transactions', 'topup', 'newkey', 'key'] as const;
export type Screen = (typeof SCREENS)[number];

export interface Place {
  screen: Screen;
  /** What stands in the address beside the screen: filters, ids. */
  params: Record<string, string>;
}

export const place = signal<Place>({ screen: 'home', params: {} });

/** Reads a place from a query. Unknown screens are home. */
export function readPlace(query: string): Place {
  const given = new URLSearchParams(query);
  const screen = SCREENS.find((known) => known === given.get('at')) ?? 'home';
  given.delete('at');
  return { screen, params: Object.fromEntries(given) };
}

/** Writes a place as a query; empty values are left out. */
export function writePlace({ screen, params }: Place): string {
  const query = new URLSearchParams(screen === 'home' ? {} : { at: screen });
  for (const [name, value] of Object.entries(params)) if (value !== '') query.set(name, value);
  const text = query.toString();
  return text ? `?${text}` : '';
}

let depth = 0;

/** Goes to a place. Back returns from it, unless it replaces where the user is. */
export function go(screen: Screen, params: Record<string, string> = {}, how: 'push' | 'replace' = 'push'): void {
  const next = { screen, params };
  const leaving = screen !== place.value.screen;
  record(next, how);
  place.value = next;
  if (leaving) scrollTo(0, 0);
}

/** Returns to where the user came from, or to where the screen belongs. */
export function back(home: Screen): void {
  if (depth > 0) history.back();
  else go(home, {}, 'replace');
}

/** Begins to follow the address. A start parameter such as "keys" names the first screen. */
export function follow(startParam: string): void {
  place.value = readPlace(location.search);
  const wanted = SCREENS.find((known) => known === startParam);
  if (wanted && location.search === '') go(wanted, {}, 'replace');
  addEventListener('popstate', (event) => {
    depth = Number((event.state as { depth?: number } | null)?.depth ?? 0);
    const next = readPlace(location.search);
    const leaving = next.screen !== place.value.screen;
    place.value = next;
    if (leaving) scrollTo(0, 0);
  });
}

/** Some web views refuse to change the address; the app goes on without. */
function record(next: Place, how: 'push' | 'replace'): void {
  const url = location.pathname + writePlace(next) + location.hash;
  try {
    if (how === 'push') history.pushState({ depth: depth + 1 }, '', url);
    else history.replaceState({ depth }, '', url);
    if (how === 'push') depth++;
  } catch {
    // Back then leads to where the screen belongs.
  }
}
