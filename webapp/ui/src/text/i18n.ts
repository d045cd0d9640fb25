// What the app says, in the language of who reads. A language is one file and loaded alone.

import { computed, signal } from '@preact/signals';
import type english from './locales/en.json';

export type Key = keyof typeof english;
/** A sentence, or one for each plural category of the language, chosen by {n}. */
export type Message = string | Record<string, string>;
export type Book = Record<Key, Message>;
export type Values = Record<string, string | number>;

export const LANGUAGES = ['en', 'ru', 'es', 'pt', 'zh', 'ar'] as const;
export type Language = (typeof LANGUAGES)[number];

/** The names of the languages, each in itself. */
export const OWN_NAMES: Record<Language, string> = {
  en: 'English', ru: 'Русский', es: 'Español', pt: 'Português', zh: '中文', ar: 'العربية',
};

export const language = signal<Language>('en');
const book = signal<Partial<Book>>({});

/** The locale of numbers and dates: digits are 0–9 everywhere, as in the bot. */
export const locale = computed(() => (language.value === 'ar' ? 'ar-u-nu-latn' : language.value === 'pt' ? 'pt-BR' : language.value));
export const rightToLeft = computed(() => language.value === 'ar');

/** The language of ours that is meant by a tag such as "pt-br"; English when none is. */
export function nearest(tag: string): Language {
  const base = tag.toLowerCase().split(/[-_]/, 1)[0];
  return LANGUAGES.find((known) => known === base) ?? 'en';
}

/** Loads a language and speaks it from then on. */
export async function speak(wanted: Language, load: (wanted: Language) => Promise<Book>): Promise<void> {
  const words = await load(wanted);
  book.value = words;
  language.value = wanted;
}

/** Says a sentence. Unknown keys show themselves, which a test of the files rules out. */
export function t(key: Key, values: Values = {}): string {
  return fill(book.value[key] ?? key, language.value, locale.value, values);
}

/** Puts values in place of {name}. Numbers are grouped as the locale groups them. */
export function fill(message: Message, tongue: string, place: string, values: Values): string {
  let text = message;
  if (typeof text !== 'string') {
    const category = new Intl.PluralRules(tongue).select(Number(values['n'] ?? 0));
    text = text[category] ?? text['other'] ?? '';
  }
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => {
    const value = values[name];
    if (value === undefined) return hole;
    if (typeof value === 'number') return new Intl.NumberFormat(place).format(value);
    return tongue === 'ar' ? isolate(value) : value;
  });
}

/** Keeps what is not Arabic, such as "$20.00", in its own order inside of an Arabic sentence. */
function isolate(value: string): string {
  return /\p{Script=Arabic}/u.test(value) ? value : `\u2066${value}\u2069`;
}
