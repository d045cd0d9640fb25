import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fill, LANGUAGES, nearest, type Message } from '../src/text/i18n';

const FOLDER = new URL('../src/text/locales/', import.meta.url);
const SOURCES = new URL('../src/', import.meta.url);

function read(tongue: string): Record<string, Message> {
  return JSON.parse(readFileSync(new URL(`${tongue}.json`, FOLDER), 'utf8')) as Record<string, Message>;
}

function holes(message: Message): string[] {
  const texts = typeof message === 'string' ? [message] : Object.values(message);
  return [...new Set(texts.flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort();
}

const english = read('en');

describe.each(LANGUAGES)('words of %s', (tongue) => {
  const words = read(tongue);

  test('say what English says', () => {
    expect(Object.keys(words)).toEqual(Object.keys(english));
  });

  test('have the same holes', () => {
    for (const [key, message] of Object.entries(words)) {
      // {n} may be said in words: "one day".
      const without = (all: string[]) => all.filter((hole) => hole !== '{n}' && hole !== '{count}');
      expect([key, ...without(holes(message))]).toEqual([key, ...without(holes(english[key]!))]);
      for (const hole of holes(message)) expect([key, ...holes(english[key]!)]).toContain(hole);
    }
  });

  test('have every plural of the language, and no other', () => {
    const plurals = new Intl.PluralRules(tongue).resolvedOptions().pluralCategories.toSorted();
    for (const [key, message] of Object.entries(words)) {
      expect([key, typeof message]).toEqual([key, typeof english[key]]);
      if (typeof message !== 'string') expect([key, ...Object.keys(message).toSorted()]).toEqual([key, ...plurals]);
    }
  });

  test('are not empty, and not English', () => {
    for (const [key, message] of Object.entries(words)) {
      for (const text of typeof message === 'string' ? [message] : Object.values(message)) expect([key, text.trim()]).not.toEqual([key, '']);
    }
    const same = Object.keys(words).filter((key) => tongue !== 'en' && JSON.stringify(words[key]) === JSON.stringify(english[key]));
    expect(same.filter((key) => !['chart.summary', 'calls', 'tokens', 'error.title'].includes(key))).toEqual([]);
  });
});

test('every sentence is used, and every one that is used is there', () => {
  const sources = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => readFileSync(new URL(name, SOURCES), 'utf8'))
    .join('\n');
  const made = [...sources.matchAll(/t\(`([\w.]+)\$\{/g)].map((match) => match[1]!);
  const unused = Object.keys(english).filter((key) => !sources.includes(`'${key}'`) && !made.some((start) => key.startsWith(start)));
  expect(unused).toEqual([]);
});

test('numbers are put as the place writes them', () => {
  expect(fill({ one: '{n} day', other: '{n} days' }, 'en', 'en', { n: 1 })).toBe('1 day');
  expect(fill({ one: '{n} day', other: '{n} days' }, 'en', 'en', { n: 1234 })).toBe('1,234 days');
  expect(fill({ one: 'a', few: 'b', many: 'c', other: 'd' }, 'ru', 'ru', { n: 3 })).toBe('b');
  expect(fill('{x} {y}', 'en', 'en', { x: 'a' })).toBe('a {y}');
  expect(fill('من {sum}', 'ar', 'ar', { sum: '$20.00' })).toBe('من \u2066$20.00\u2069');
  expect(nearest('pt-br')).toBe('pt');
  expect(nearest('zh-hans')).toBe('zh');
  expect(nearest('de')).toBe('en');
});
