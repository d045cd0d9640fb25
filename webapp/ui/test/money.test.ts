import { describe, expect, test } from 'vitest';
import { balanceText, changePercent, costText, daysLeft, decimal, dollars, exactText, readDollars, shortNumber } from '../src/text/money';

describe('amounts', () => {
  test('a balance is cut off, never rounded up', () => {
    expect(balanceText(9_999_999_999, 'en')).toBe('$9.99');
    expect(balanceText(1_234_567_890_123, 'en')).toBe('$1,234.56');
    expect(balanceText(0, 'en')).toBe('$0.00');
    expect(balanceText(-5_000_000, 'en')).toBe('$0.00');
    expect(balanceText(-1_500_000_000, 'en')).toBe('−$1.50');
  });

  test('a cost has more decimals the smaller it is', () => {
    expect(costText(12_345_678_901, 'en')).toBe('$12.35');
    expect(costText(100_000_000, 'en')).toBe('$0.10');
    expect(costText(12_345_678, 'en')).toBe('$0.0123');
    expect(costText(25_800, 'en')).toBe('$0.000026');
    expect(costText(7, 'en')).toBe('$0.000000007');
    expect(costText(0, 'en')).toBe('$0.00');
  });

  test('the exact amount keeps every nano', () => {
    expect(exactText(12_345, 'en')).toBe('$0.000012345');
    expect(exactText(500_000_000, 'en')).toBe('$0.50');
    expect(exactText(Number.MAX_SAFE_INTEGER, 'en')).toBe('$9,007,199.254740991');
  });

  test('separators are those of the locale, digits are 0 to 9', () => {
    expect(balanceText(1_234_500_000_000, 'ru')).toBe('$1\u00a0234,50');
    expect(balanceText(12_345_500_000_000, 'es')).toBe('$12.345,50');
    expect(balanceText(1_500_000_000, 'ar-u-nu-latn')).toBe('$1.50');
    expect(dollars('0.15', 'pt-BR')).toBe('$0,15');
  });

  test('a stated amount has cents at least, and every digit of its own', () => {
    expect(dollars('0.6', 'en')).toBe('$0.60');
    expect(dollars('0.6', 'es')).toBe('$0,60');
    expect(dollars('15', 'en')).toBe('$15.00');
    expect(dollars('0.075', 'en')).toBe('$0.075');
    expect(dollars('-1234.5', 'en')).toBe('−$1,234.50');
  });

  test('rounding carries', () => {
    expect(decimal(999_999_999, 2, 'round')).toBe('1.00');
    expect(decimal(999_999_999, 2, 'cut')).toBe('0.99');
    expect(decimal(-4_000_000, 2, 'cut')).toBe('0.00');
    expect(decimal(5, 0, 'cut')).toBe('0');
  });

  test('what was typed is dollars, or nothing', () => {
    expect(readDollars('20')).toBe('20');
    expect(readDollars(' $1,50 ')).toBe('1.50');
    expect(readDollars('007.5')).toBe('7.5');
    for (const wrong of ['', '0', '0.00', '-1', '1,000.50', '1.2.3', 'ten', '1e5', '.5', '1.0000000001']) expect(readDollars(wrong)).toBeUndefined();
  });
});

describe('what is made of amounts', () => {
  test('days left are whole days at the latest pace', () => {
    expect(daysLeft(10_000, 700, 7)).toBe(100);
    expect(daysLeft(99, 700, 7)).toBe(0);
    expect(daysLeft(10_000, 0, 7)).toBeUndefined();
    expect(daysLeft(0, 700, 7)).toBeUndefined();
    expect(daysLeft(1e15, 7, 7)).toBeUndefined();
  });

  test('a change needs something before', () => {
    expect(changePercent(100, 150)).toBe(50);
    expect(changePercent(200, 50)).toBe(-75);
    expect(changePercent(0, 50)).toBeUndefined();
  });

  test('numbers are shortened', () => {
    expect(shortNumber(1234, 'en')).toBe('1.2K');
    expect(shortNumber(999, 'en')).toBe('999');
  });
});
