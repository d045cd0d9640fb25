// What bars are made of: rows of the bill by time and model, stacked in a constant order.

import type { UsageRow } from '../api/types';
import { addDays, daysFrom } from '../text/days';

export const COLOURS = 6; // models told apart; the others share one colour
export const REST = 'rest';

/** One bar. `parts` stand in the order of `Stack.models`, nano-USD. */
export interface Column {
  /** A day "2026-11-22", or an hour "2026-11-22T05". */
  at: string;
  parts: number[];
  total: number;
}

export interface Stack {
  /** The dearest first; the last may be REST. */
  models: string[];
  /** Over all columns, in the order of models. */
  totals: number[];
  total: number;
  calls: number;
  columns: Column[];
}

/** When a row's day or hour begins, as the clock in its zone shows it. */
export function slotOf(row: UsageRow, by: 'day' | 'hour'): string {
  return (row.start ?? '').slice(0, by === 'day' ? 10 : 13);
}

/** Stacks rows over slots; rows of other slots are passed over. An hour that the clock shows
    twice is one bar. */
export function stack(rows: UsageRow[], slots: string[], by: 'day' | 'hour'): Stack {
  const place = new Map(slots.map((slot, i) => [slot, i]));
  const inside = rows.filter((row) => place.has(slotOf(row, by)));
  const sums = new Map<string, number>();
  for (const row of inside) sums.set(row.model ?? '', (sums.get(row.model ?? '') ?? 0) + row.cost_nano_usd);
  const ranked = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([model]) => model);
  const models = ranked.length > COLOURS ? [...ranked.slice(0, COLOURS - 1), REST] : ranked;
  const index = new Map(models.map((model, i) => [model, i]));
  const at = (model: string) => index.get(model) ?? models.length - 1;
  const columns = slots.map((slot) => ({ at: slot, parts: models.map(() => 0), total: 0 }));
  const totals = models.map(() => 0);
  let calls = 0;
  for (const row of inside) {
    const column = columns[place.get(slotOf(row, by))!]!;
    const i = at(row.model ?? '');
    column.parts[i]! += row.cost_nano_usd;
    column.total += row.cost_nano_usd;
    totals[i]! += row.cost_nano_usd;
    calls += row.calls;
  }
  return { models, totals, total: totals.reduce((sum, part) => sum + part, 0), calls, columns };
}

/** The days of a range, both ends among them. */
export const daySlots = daysFrom;

/** The hours of a day. */
export function hourSlots(day: string): string[] {
  return Array.from({ length: 24 }, (_, hour) => `${day}T${String(hour).padStart(2, '0')}`);
}

/** What was spent over the days before `today`'s last n: the n days before them. */
export function before(rows: UsageRow[], today: string, n: number): number {
  const [from, to] = [addDays(today, 1 - 2 * n), addDays(today, -n)];
  return rows.reduce((sum, row) => {
    const day = slotOf(row, 'day');
    return day >= from && day <= to ? sum + row.cost_nano_usd : sum;
  }, 0);
}

/** What was spent yesterday up to the same hour as now. */
export function yesterdayUntil(rows: UsageRow[], today: string, hour: number): number {
  const end = `${addDays(today, -1)}T${String(hour).padStart(2, '0')}`;
  return rows.reduce((sum, row) => {
    const slot = slotOf(row, 'hour');
    return slot.slice(0, 10) === end.slice(0, 10) && slot <= end ? sum + row.cost_nano_usd : sum;
  }, 0);
}
