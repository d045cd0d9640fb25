import type { Call } from '../api/types';
import { t } from '../text/i18n';
import { shortNumber } from '../text/money';
import { Amount } from './amount';
import { Row } from './lists';
import { colours } from './colours';

/** A call in a list. `when` says how its time is told. */
export function CallRow({ call, when, fresh, locale }: { call: Call; when: string; fresh?: boolean; locale: string }) {
  const tokens = call.input_tokens + call.output_tokens;
  return (
    <Row
      lead={<span class="swatch" style={{ background: colours.of(call.model) }} />}
      title={call.model}
      under={`${when}${tokens > 0 ? ` · ${t('tokens', { n: tokens, count: shortNumber(tokens, locale) })}` : ''}`}
      side={<strong><Amount nano={call.cost_nano_usd} /></strong>}
      fresh={fresh}
    />
  );
}
