import { locale } from '../text/i18n';
import { balanceText, costText, exactText } from '../text/money';

interface Props {
  nano: number;
  /** How it is rounded: what somebody has, what something cost, or not at all. */
  as?: 'balance' | 'cost' | 'exact';
  /** Shows a plus before what was added. */
  signed?: boolean;
  class?: string;
}

const WRITERS = { balance: balanceText, cost: costText, exact: exactText };

/** An amount of money. The exact one can be read by pointing at it, and by tests. */
export function Amount({ nano, as = 'cost', signed, class: more = '' }: Props) {
  const text = WRITERS[as](nano, locale.value);
  return (
    <bdi class={`num ${more}`} dir="ltr" data-nano={nano} title={exactText(nano, locale.value)}>
      {signed && nano > 0 ? `+${text}` : text}
    </bdi>
  );
}
