import { t } from '../text/i18n';
import { Refused } from './errors';
import { OpenAgain } from './errors';

/** Says in a sentence what went wrong. Of what the server says only refusals of a wish are
    shown as they are: they name what was wrong with it, in English. */
export function explain(error: unknown, online = true): string {
  if (error instanceof OpenAgain) return t('error.again');
  if (!online) return t('error.offline');
  if (!(error instanceof Refused)) return t('error.network');
  if (error.status === 402) return t('error.balance');
  if (error.status === 429) return error.retryAfter > 0 ? t('error.wait', { n: error.retryAfter }) : t('error.busy');
  if (error.status === 502 || error.status === 504) return t('error.provider');
  if (error.status >= 500) return t('error.busy');
  return error.message || t('error.network');
}
