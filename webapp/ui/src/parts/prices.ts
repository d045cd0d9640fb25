import type { Product } from '../api/types';
import { locale, t } from '../text/i18n';
import { dollars } from '../text/money';

const PER_MILLION = 1_000_000;

/** What a model costs, in a line: by a million tokens in and out. */
export function priceText(model: Product): string {
  const { input, output } = model.prices;
  if (!input || !output) return model.provider;
  return t('models.price', { in: dollars(input, locale.value), out: dollars(output, locale.value) });
}

/** What so many tokens come to by a model's prices, nano-USD: a sight of the cost while it
    grows, which the bill then replaces. */
export function estimate(model: Product, inTokens: number, outTokens: number): number {
  const per = (price: string | undefined, tokens: number) => (Number(price ?? 0) * 1e9 * tokens) / PER_MILLION;
  return Math.ceil(per(model.prices['input'], inTokens) + per(model.prices['output'], outTokens));
}
