// Money is whole nano-USD everywhere; a decimal text is made only to be read.

export const NANO = 1_000_000_000;
const DECIMALS = 9;

/** An amount as a decimal text with so many decimals: cut off, or rounded half up. */
export function decimal(nano: number, places: number, how: 'cut' | 'round'): string {
  const unit = 10n ** BigInt(DECIMALS - places);
  const whole = BigInt(Math.abs(nano));
  const units = (how === 'round' ? whole + unit / 2n : whole) / unit;
  const digits = units.toString().padStart(places + 1, '0');
  const sign = nano < 0 && units > 0n ? '-' : '';
  return sign + digits.slice(0, digits.length - places) + (places > 0 ? '.' + digits.slice(-places) : '');
}

/** Writes a decimal text of dollars as the locale does, with two decimals at least:
    "-1234.5" → "−$1,234.50". */
export function dollars(text: string, locale: string): string {
  const negative = text.startsWith('-');
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const point = new Intl.NumberFormat(locale).formatToParts(1.5).find((part) => part.type === 'decimal')?.value ?? '.';
  const grouped = new Intl.NumberFormat(locale).format(BigInt(whole));
  return `${negative ? '−' : ''}$${grouped}${point}${fraction.padEnd(2, '0')}`;
}

/** What somebody has: cents, never more than there is. */
export function balanceText(nano: number, locale: string): string {
  return dollars(decimal(nano, 2, 'cut'), locale);
}

/** What something cost: cents from ten of them on, more decimals the smaller it is. */
export function costText(nano: number, locale: string): string {
  const size = Math.abs(nano);
  const places = size === 0 || size >= NANO / 10 ? 2 : size >= NANO / 1000 ? 4 : size >= 1000 ? 6 : DECIMALS;
  const text = decimal(nano, places, 'round');
  return dollars(places > 4 ? trim(text) : text, locale);
}

/** All decimals there are, at least two. */
export function exactText(nano: number, locale: string): string {
  return dollars(trim(decimal(nano, DECIMALS, 'cut')), locale);
}

/** Takes zeros off the end, down to two decimals. */
function trim(text: string): string {
  return text.replace(/(\.\d\d\d*?)0+$/, '$1');
}

/** Reads dollars that a person typed, such as "1,50" or "$20": a decimal text with at most
    nine decimals, or undefined. Where a point and a comma stand together it is not guessed. */
export function readDollars(typed: string): string | undefined {
  const text = typed.trim().replace(/^\$\s*/, '').replace(',', '.');
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) return undefined;
  const clean = text.replace(/^0+(?=\d)/, '');
  return /[1-9]/.test(clean) ? clean : undefined;
}

/** How many days a balance lasts at what was spent in so many days; undefined when nothing
    was spent, or it lasts for years. */
export function daysLeft(available: number, spent: number, days: number): number | undefined {
  if (spent <= 0 || available <= 0) return undefined;
  const left = Math.floor((available / spent) * days);
  return left > 999 ? undefined : left;
}

/** The change from one amount to another in whole percent; undefined when there was none. */
export function changePercent(before: number, now: number): number | undefined {
  return before > 0 ? Math.round(((now - before) / before) * 100) : undefined;
}

/** A number in few characters: 12345 → "12K". */
export function shortNumber(n: number, locale: string): string {
  return new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }).format(n);
}
