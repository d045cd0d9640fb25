import { describe, expect, test } from 'vitest';
import type { UsageRow } from '../src/api/types';
import { barSlots, gridLines, labelled, partHeights, partPath, roundUp } from '../src/chart/scale';
import { before, COLOURS, daySlots, hourSlots, REST, stack, yesterdayUntil } from '../src/chart/stack';

function row(start: string, model: string, cost: number): UsageRow {
  return {
    start, model, cost_nano_usd: cost, cost_usd: '0.00', calls: 1, estimated_calls: 0, input_tokens: 0, cached_input_tokens: 0,
    cache_write_tokens: 0, output_tokens: 0, reasoning_tokens: 0, images: 0, audio_ms: 0, characters: 0,
  };
}

describe('stack', () => {
  const rows = [
    row('2026-10-24T00:00:00+02:00', 'a', 5), row('2026-10-25T00:00:00+02:00', 'b', 7),
    row('2026-10-25T00:00:00+02:00', 'a', 1), row('2026-10-26T00:00:00+01:00', 'b', 2), row('2026-10-23T00:00:00+02:00', 'c', 9),
  ];

  test('rows, bars and the sum are one amount', () => {
    const made = stack(rows, daySlots('2026-10-24', '2026-10-26'), 'day');
    expect(made.models).toEqual(['b', 'a']); // the dearest first
    expect(made.totals).toEqual([9, 6]);
    expect(made.total).toBe(15);
    expect(made.calls).toBe(4);
    expect(made.columns.map((column) => column.total)).toEqual([5, 8, 2]);
    expect(made.columns[1]!.parts).toEqual([7, 1]);
  });

  test('models beyond the colours are one, and nothing is lost', () => {
    const many = Array.from({ length: 9 }, (_, i) => row('2026-10-24T00:00:00Z', `m${i}`, 100 - i));
    const made = stack(many, ['2026-10-24'], 'day');
    expect(made.models).toHaveLength(COLOURS);
    expect(made.models.at(-1)).toBe(REST);
    expect(made.total).toBe(many.reduce((sum, each) => sum + each.cost_nano_usd, 0));
  });

  test('an hour that the clock shows twice is one bar', () => {
    const twice = [row('2026-10-25T02:00:00+02:00', 'a', 3), row('2026-10-25T02:00:00+01:00', 'a', 4)];
    const made = stack(twice, hourSlots('2026-10-25'), 'hour');
    expect(made.columns).toHaveLength(24);
    expect(made.columns[2]!.total).toBe(7);
    expect(made.total).toBe(7);
  });

  test('the time before is as long as the time', () => {
    expect(before(rows, '2026-10-26', 2)).toBe(14); // of the 23rd and the 24th
    expect(before(rows, '2026-10-26', 1)).toBe(8);
  });

  test('yesterday counts up to the same hour', () => {
    const hours = [row('2026-10-24T05:00:00Z', 'a', 1), row('2026-10-24T06:00:00Z', 'a', 2), row('2026-10-24T07:00:00Z', 'a', 4), row('2026-10-25T05:00:00Z', 'a', 8)];
    expect(yesterdayUntil(hours, '2026-10-25', 6)).toBe(3);
  });

  test('nothing is no bar', () => {
    const made = stack([], daySlots('2026-10-24', '2026-10-25'), 'day');
    expect(made).toMatchObject({ models: [], total: 0, calls: 0 });
    expect(made.columns.map((column) => column.total)).toEqual([0, 0]);
  });
});

describe('scale', () => {
  test('the top line is the next round number', () => {
    expect([0, 1, 1.2, 2.1, 2.6, 7, 123].map(roundUp)).toEqual([1, 1, 2, 2.5, 5, 10, 200]);
    expect(roundUp(0.3)).toBeCloseTo(0.5);
    expect(gridLines(10)).toEqual([0, 5, 10]);
  });

  test('bars stand inside, side by side', () => {
    for (const n of [1, 7, 30, 90]) {
      const slots = barSlots(n, 300);
      expect(slots).toHaveLength(n);
      slots.forEach((slot, i) => {
        expect(slot.x).toBeGreaterThanOrEqual(i === 0 ? 0 : slots[i - 1]!.x + slots[i - 1]!.width);
        expect(slot.x + slot.width).toBeLessThanOrEqual(300);
      });
    }
  });

  test('labels keep their distance and name the last bar', () => {
    expect(labelled(7, 10)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(labelled(30, 5)).toEqual([5, 11, 17, 23, 29]);
    expect(labelled(0, 5)).toEqual([]);
    expect(labelled(3, 0)).toEqual([2]);
  });

  test('parts fill their bar, small ones can be seen', () => {
    const parts = partHeights([50, 0, 50], 100, 100);
    expect(parts.map(({ part }) => part)).toEqual([0, 2]);
    expect(parts.at(-1)!.to).toBe(100);
    expect(parts[1]!.from).toBeGreaterThan(parts[0]!.to);
    expect(partHeights([1], 1e9, 100)[0]!.to).toBeGreaterThan(0.5);
  });

  test('a path has no negative corner', () => {
    expect(partPath(0, 10, 99, 100, 5)).not.toMatch(/h-|NaN/);
  });
});
