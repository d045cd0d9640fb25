import type { Book, Language } from './i18n';

const files = import.meta.glob<{ default: Book }>('./locales/*.json');

/** Fetches the words of a language: a chunk of its own. */
export async function loadLanguage(wanted: Language): Promise<Book> {
  const file = files[`./locales/${wanted}.json`];
  if (!file) throw new Error(`no words for ${wanted}`);
  return (await file()).default;
}
