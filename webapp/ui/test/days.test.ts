import { describe, expect, test } from 'vitest';
import { addDays, agoText, countDays, dayOf, daysFrom, dayText, isDay, knownZones, momentText, timeText } from '../src/text/days';

describe('days', () => {
  test('a moment is on the day of its zone', () => {
    const at = new Date('2026-11-21T18:45:00Z');
    expect(dayOf(at, 'UTC')).toBe('2026-11-21');
    expect(dayOf(at, 'Asia/Kolkata')).toBe('2026-11-22'); // 00:15, half an hour off
    expect(dayOf(at, 'Asia/Kathmandu')).toBe('2026-11-22');
    expect(dayOf(at, 'America/St_Johns')).toBe('2026-11-21');
    expect(dayOf(at, 'Pacific/Kiritimati')).toBe('2026-11-22');
  });

  test('days of 23 and of 25 hours are days', () => {
    expect(dayOf(new Date('2026-03-29T21:59:59Z'), 'Europe/Berlin')).toBe('2026-03-29');
    expect(dayOf(new Date('2026-03-29T22:00:00Z'), 'Europe/Berlin')).toBe('2026-03-30');
    expect(dayOf(new Date('2026-10-25T22:59:59Z'), 'Europe/Berlin')).toBe('2026-10-25');
    expect(addDays('2026-03-28', 2)).toBe('2026-03-30');
    expect(daysFrom('2026-10-24', '2026-10-26')).toEqual(['2026-10-24', '2026-10-25', '2026-10-26']);
  });

  test('arithmetic crosses months and leap days', () => {
    expect(addDays('2028-02-28', 1)).toBe('2028-02-29');
    expect(addDays('2026-01-01', -1)).toBe('2025-12-31');
    expect(countDays('2026-11-01', '2026-11-30')).toBe(30);
    expect(daysFrom('2026-11-02', '2026-11-01')).toEqual([]);
  });

  test('a day is one that there is', () => {
    expect(isDay('2026-11-22')).toBe(true);
    for (const wrong of ['2026-02-30', '2026-13-01', '22.11.2026', '', '2026-1-1', 'today']) expect(isDay(wrong)).toBe(false);
  });
});

test('zones have the names of today, and the days of each can be told', () => {
  const zones = knownZones();
  for (const zone of ['Asia/Kolkata', 'Asia/Kathmandu', 'Europe/Kyiv', 'UTC']) expect(zones).toContain(zone);
  expect(zones).not.toContain('Asia/Calcutta');
  for (const zone of zones) expect(dayOf(new Date('2026-11-22T12:00:00Z'), zone)).toMatch(/^2026-11-2[123]$/);
});

describe('as they are read', () => {
  test('the year is told when it is another', () => {
    expect(dayText('2026-11-22', 'en', '2026-12-01')).toBe('Nov 22');
    expect(dayText('2025-11-22', 'en', '2026-12-01')).toBe('Nov 22, 2025');
  });

  test('times are those of the zone, by 24 hours', () => {
    expect(timeText('2026-11-21T18:45:00Z', 'en', 'Asia/Kolkata')).toBe('00:15');
    expect(momentText('2026-11-21T18:45:00Z', 'en', 'Asia/Kolkata')).toBe('Nov 22, 00:15');
  });

  test('how long ago, in the largest unit', () => {
    const now = Date.parse('2026-11-22T12:00:00Z');
    expect(agoText('2026-11-22T11:59:50Z', now, 'en')).toBe('now');
    expect(agoText('2026-11-22T11:55:00Z', now, 'en')).toBe('5 min. ago');
    expect(agoText('2026-11-22T09:10:00Z', now, 'en')).toBe('2 hr. ago');
    expect(agoText('2026-11-21T09:00:00Z', now, 'en')).toBe('yesterday');
    expect(agoText('2026-11-22T12:30:00Z', now, 'en')).toBe('now'); // a clock that is behind
  });
});
