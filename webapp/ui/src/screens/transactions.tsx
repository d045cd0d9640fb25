import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Transaction, Transactions as Page } from '../api/types';
import { useApp } from '../core/app';
import { PagedList } from '../core/pages';
import { query } from '../core/request';
import { Amount } from '../parts/amount';
import type { IconName } from '../parts/icons';
import { BoneRows, Row, Segments } from '../parts/lists';
import { More } from '../parts/more';
import { Blank, Failure } from '../parts/states';
import { dayOf, longDayText, timeText } from '../text/days';
import { locale, t } from '../text/i18n';

const PAGE = 50;

const LOOKS: Record<Transaction['type'], { icon: IconName; tint: string }> = {
  call: { icon: 'sparkle', tint: 'var(--c-rest)' },
  top_up: { icon: 'plus', tint: 'var(--c1)' },
  bonus: { icon: 'gift', tint: 'var(--c3)' },
  gift: { icon: 'gift', tint: 'var(--c4)' },
  refund: { icon: 'refund', tint: 'var(--c5)' },
  adjustment: { icon: 'settings', tint: 'var(--c0)' },
};

export default function Transactions() {
  const app = useApp();
  const [which, setWhich] = useState<'all' | 'money'>('money');
  const list = useMemo(() => new PagedList<Transaction>(async (cursor) => {
    const page = await app.api.json<Page>('/api/v1/transactions' + query({ limit: PAGE, cursor, calls: which === 'all' }));
    return { items: page.transactions, next: page.next_cursor };
  }), [which]);
  const [payments, spent] = [app.payments.value, which === 'all' ? app.spending.value : 0];
  useEffect(() => void list.restart(), [list, payments, spent]);
  const { items, next, error } = list.now.value;
  return (
    <main class="screen narrow alone">
      <h1 class="title">{t('transactions.title')}</h1>
      <Segments
        label={t('transactions.which')}
        name="which"
        value={which}
        onChange={setWhich}
        options={[{ value: 'money', text: t('transactions.money') }, { value: 'all', text: t('transactions.all') }]}
      />
      {items.length === 0 && error ? <Failure error={error} onRetry={() => void list.restart()} />
        : next === undefined ? <div class="card"><BoneRows n={6} /></div>
        : items.length === 0 ? <div class="card"><Blank icon="list" title={t('transactions.empty')} text={t('transactions.empty_text')} /></div>
        : byDay(items, app.zone.value).map(([day, rows]) => (
          <section key={day}>
            <div class="section-head"><h2>{longDayText(day, locale.value)}</h2></div>
            <ul class="card rows">
              {rows.map((row) => <li key={row.id}><Line of={row} zone={app.zone.value} /></li>)}
            </ul>
          </section>
        ))}
      <More list={list} />
    </main>
  );
}

function Line({ of, zone }: { of: Transaction; zone: string }) {
  const look = LOOKS[of.type];
  const details = [timeText(of.at, locale.value, zone), of.method ? t(`method.${of.method}`) : of.type === 'call' ? t('transactions.call') : ''].filter(Boolean);
  return (
    <Row
      icon={look.icon}
      tint={look.tint}
      title={of.type === 'call' ? of.model : t(`transactions.${of.type}`)}
      under={details.join(' · ')}
      side={<strong class={of.amount_nano_usd > 0 ? 'ok' : ''}><Amount nano={of.amount_nano_usd} signed /></strong>}
    />
  );
}

/** Rows under the days of the zone on which they were. */
function byDay(rows: Transaction[], zone: string): [string, Transaction[]][] {
  const days = new Map<string, Transaction[]>();
  for (const row of rows) {
    const day = dayOf(new Date(row.at), zone);
    days.set(day, [...(days.get(day) ?? []), row]);
  }
  return [...days];
}
