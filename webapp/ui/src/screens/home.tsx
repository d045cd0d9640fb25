import { useEffect, useState } from 'preact/hooks';
import { useComputed, useSignal } from '@preact/signals';
import type { Usage } from '../api/types';
import { before, daySlots, hourSlots, stack, yesterdayUntil } from '../chart/stack';
import { useApp } from '../core/app';
import { go } from '../core/router';
import { Amount } from '../parts/amount';
import { CallRow } from '../parts/calls';
import { Icon } from '../parts/icons';
import { BoneRows, Row, Section, Segments } from '../parts/lists';
import { Spending } from '../parts/spending';
import { Blank, Show } from '../parts/states';
import { addDays, agoText } from '../text/days';
import { locale, t } from '../text/i18n';
import { balanceText, changePercent, daysLeft } from '../text/money';

const WEEK = 7; // days whose spending says how long a balance lasts
const TICK = 30_000; // ms between looks at the clock, for "5 min. ago"

type Span = '1' | '7' | '30';

export default function Home() {
  const app = useApp();
  useEffect(() => {
    for (const each of [app.balance, app.days, app.feed, app.products]) each.ensure();
    if (!app.connected.peek()) app.refresh(); // nothing has told what happened meanwhile
  }, []);
  return (
    <main class="screen">
      <h1 class="sr-only">{t('tab.home')}</h1>
      <div class="columns">
        <div>
          <BalanceCard />
          <SpendingCard />
        </div>
        <div>
          <Feed />
          <div class="card">
            <Row icon="list" title={t('transactions.title')} leads onPress={() => go('transactions')} />
          </div>
        </div>
      </div>
    </main>
  );
}

function BalanceCard() {
  const app = useApp();
  const balance = app.balance.now.value;
  const left = useComputed(() => {
    const [available, days] = [app.balance.now.value.value?.available_nano_usd, app.days.now.value.value];
    if (available === undefined || !days) return undefined;
    return daysLeft(available, stack(days.rows ?? [], daySlots(addDays(app.today(), 1 - WEEK), app.today()), 'day').total, WEEK);
  });
  return (
    <Show of={balance} bones={<BalanceBones />} onRetry={() => void app.balance.refresh()}>
      {(value) => (
        <>
          <div class="hero">
            <span class="label">
              <span class={`live-dot${app.connected.value ? '' : ' off'}`} role="img" aria-label={t(app.connected.value ? 'live.on' : 'live.off')} />
              {t('balance.title')}
            </span>
            <BalanceSum nano={value.available_nano_usd} />
            <p class="under">
              {value.held_nano_usd > 0 ? <>{t('balance.held')} <Amount nano={value.held_nano_usd} /></>
                : left.value !== undefined ? t('balance.days_left', { n: left.value })
                : value.available_nano_usd <= 0 ? t('balance.empty') : ' '}
            </p>
          </div>
          <div class="actions">
            <button type="button" class="action main" onClick={() => go('topup')}><Icon name="plus" />{t('topup.title')}</button>
            <button type="button" class="action" onClick={() => go('newkey')}><Icon name="keys" />{t('keys.new')}</button>
            <button type="button" class="action" onClick={() => go('play')}><Icon name="play" />{t('tab.play')}</button>
          </div>
        </>
      )}
    </Show>
  );
}

/** As high as what takes its place, so that nothing below moves. */
function BalanceBones() {
  return (
    <>
      <div class="hero" aria-hidden="true"><span class="label">{'\u00a0'}</span><span class="sum bone bone-balance">{'\u00a0'}</span><p class="under" /></div>
      <div class="actions" aria-hidden="true"><span class="action" /><span class="action" /><span class="action" /></div>
    </>
  );
}

/** The balance, its cents smaller. */
function BalanceSum({ nano }: { nano: number }) {
  const text = balanceText(nano, locale.value);
  const cut = text.length - 3; // before the point and two decimals
  return (
    <bdi class="sum num" dir="ltr" data-nano={nano}>
      {text.slice(0, cut)}
      <span class="cents">{text.slice(cut)}</span>
    </bdi>
  );
}

function SpendingCard() {
  const app = useApp();
  const span = useSignal<Span>('7');
  const source = span.value === '1' ? app.hours : app.days;
  useEffect(() => source.ensure(), [source]);
  return (
    <Section head={t('spending.title')} aside={<button type="button" onClick={() => go('activity')}>{t('spending.more')}</button>}>
      <div class="card pad">
        <Segments
          label={t('spending.span')}
          name="span"
          value={span.value}
          onChange={(value) => {
            app.native.haptic('select');
            span.value = value;
          }}
          options={[
            { value: '1', text: t('span.today') },
            { value: '7', text: t('span.days', { n: 7 }) },
            { value: '30', text: t('span.days', { n: 30 }) },
          ]}
        />
        <Show of={source.now.value} bones={<SpendingBones />} onRetry={() => void source.refresh()}>
          {(usage) => (span.value === '1' ? <Today usage={usage} /> : <LastDays usage={usage} n={Number(span.value)} />)}
        </Show>
      </div>
    </Section>
  );
}

function Today({ usage }: { usage: Usage }) {
  const app = useApp();
  const [rows, today] = [usage.rows ?? [], app.today()];
  const stacked = stack(rows, hourSlots(today), 'hour');
  const hour = Number(new Intl.DateTimeFormat('en', { timeZone: app.zone.value, hour: '2-digit', hourCycle: 'h23' }).format(app.now()));
  return <Spending key="1" stack={stacked} by="hour" span={t('span.today')} change={changePercent(yesterdayUntil(rows, today, hour), stacked.total)} before={t('span.than_yesterday')} />;
}

function LastDays({ usage, n }: { usage: Usage; n: number }) {
  const app = useApp();
  const [rows, today] = [usage.rows ?? [], app.today()];
  const stacked = stack(rows, daySlots(addDays(today, 1 - n), today), 'day');
  return <Spending key={n} stack={stacked} by="day" span={t('span.days', { n })} change={changePercent(before(rows, today, n), stacked.total)} before={t('span.than_before')} />;
}

function SpendingBones() {
  return (
    <div aria-hidden="true">
      <div class="spend-head"><span class="bone bone-line short sum-bone" /></div>
      <div class="bone chart-bone" />
      <div class="legend"><span class="bone bone-line" /><span class="bone bone-line" /></div>
    </div>
  );
}

function Feed() {
  const app = useApp();
  const [now, setNow] = useState(() => app.now().getTime());
  useEffect(() => {
    const ticking = setInterval(() => setNow(app.now().getTime()), TICK);
    return () => clearInterval(ticking);
  }, []);
  useEffect(() => setNow(app.now().getTime()), [app.feed.now.value.value]);
  return (
    <Section head={t('feed.title')} aside={<button type="button" onClick={() => go('activity')}>{t('feed.all')}</button>}>
      <Show of={app.feed.now.value} bones={<BoneRows n={4} />} onRetry={() => void app.feed.refresh()}>
        {(calls) =>
          calls.length === 0 ? (
            <Blank icon="sparkle" title={t('feed.empty')} text={t('feed.empty_text')}>
              <button type="button" class="button quiet" onClick={() => go('play')}>{t('feed.try')}</button>
            </Blank>
          ) : (
            <ul class="rows" aria-live="polite" aria-relevant="additions">
              {calls.map((call) => (
                <li key={call.id}>
                  <CallRow call={call} when={agoText(call.at, now, locale.value)} fresh={app.fresh.value.has(call.id)} locale={locale.value} />
                </li>
              ))}
            </ul>
          )
        }
      </Show>
    </Section>
  );
}
