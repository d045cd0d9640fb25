// What Telegram hands over when it opens the app: the fragment of the address.

export interface Launch {
  /** The signed initData, as it came; empty outside Telegram. */
  initData: string;
  /** When Telegram signed it, seconds since 1970; 0 when unknown. */
  signedAt: number;
  version: string;
  platform: string;
  theme: Record<string, string>;
  /** The user's language by Telegram, such as "pt-br". */
  language: string;
  /** What a link of the form ?startapp=… carried. */
  startParam: string;
}

/** Reads the fragment, with or without "#". What is malformed is as if it were not there. */
export function readLaunch(fragment: string): Launch {
  const given = new URLSearchParams(fragment.replace(/^#/, ''));
  const initData = given.get('tgWebAppData') ?? '';
  const data = new URLSearchParams(initData);
  const user = parse(data.get('user'));
  const language = user['language_code'];
  return {
    initData,
    signedAt: Number(data.get('auth_date')) || 0,
    version: given.get('tgWebAppVersion') ?? '6.0',
    platform: given.get('tgWebAppPlatform') ?? '',
    theme: strings(parse(given.get('tgWebAppThemeParams'))),
    language: typeof language === 'string' ? language : '',
    startParam: data.get('start_param') ?? given.get('tgWebAppStartParam') ?? '',
  };
}

/** Reads a JSON object; {} when it is none. */
export function parse(text: unknown): Record<string, unknown> {
  if (text !== null && typeof text === 'object') return text as Record<string, unknown>;
  try {
    const value: unknown = JSON.parse(String(text));
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The members that are strings. */
export function strings(given: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Tells whether version a, such as "8.0", is at least b. */
export function atLeast(a: string, b: string): boolean {
  const [x, y] = [a, b].map((v) => v.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < Math.max(x!.length, y!.length); i++) {
    const difference = (x![i] ?? 0) - (y![i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
