// What was spent, by day and model, narrowed by model, key and time. The filters stand in the
// address, so that coming back finds them.

import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Call, Calls, Report, Usage, UsageRow } from '../api/types';
import { daySlots, stack } from '../chart/stack';
import { useApp } from '../core/app';
import { explain } from '../core/explain';
import { PagedList } from '../core/pages';
import { query } from '../core/request';
import { Resource } from '../core/resource';
import { go, place } from '../core/router';
import { Amount } from '../parts/amount';
import { CallRow } from '../parts/calls';
import { FilterChips, readRange } from '../parts/filters';
import { BoneRows, Row, Section, Segments } from '../parts/lists';
import { More } from '../parts/more';
import { Spending } from '../parts/spending';
import { Blank, Failure, Show } from '../parts/states';
import { countDays, dayText, momentText } from '../text/days';
import { locale, t } from '../text/i18n';
import { shortNumber } from '../text/money';

const PAGE = 50; // calls

type Cut = 'model' | 'key' | 'day';

export default function Activity() {
  const app = useApp();
  const { params } = place.value;
  const range = readRange(params, app.today());
  const filter = { from: range.from, to: range.to, tz: app.zone.value, model: params['model'], key_id: params['key'] };
  const asked = query(filter);
  const usage = useMemo(() => new Resource<Usage>((signal) => app.api.json(`/api/v1/usage${query({ ...filter, group_by: 'day,model' })}`, { signal })), [asked]);
  const keys = useMemo(() => new Resource<Usage>((signal) => app.api.json(`/api/v1/usage${query({ ...filter, group_by: 'key' })}`, { signal })), [asked]);
  const calls = useMemo(() => new PagedList<Call>(async (cursor) => {
    const page = await app.api.json<Calls>(`/api/v1/usage/calls${query({ ...filter, limit: PAGE, cursor })}`);
    return { items: page.calls, next: page.next_cursor };
  }), [asked]);
  const spent = app.spending.value;
  useEffect(() => {
    void usage.refresh();
    void calls.restart();
    if (keys.now.peek().value) void keys.refresh();
  }, [asked, spent]);
  useEffect(() => {
    app.keys.ensure();
    app.days.ensure();
  }, []);
  const days = countDays(range.from, range.to);
  const span = range.preset ? t('span.days', { n: days }) : `${dayText(range.from, locale.value, range.to)} – ${dayText(range.to, locale.value)}`;
  return (
    <main class="screen">
      <h1 class="title">{t('tab.activity')}</h1>
      <FilterChips params={params} onChange={(next) => go('activity', next, 'replace')} />
      <Show of={usage.now.value} bones={<ActivityBones />} onRetry={() => void usage.refresh()}>
        {(value) => (
          <div class="columns">
            <div>
              <section class="card pad" aria-label={t('spending.title')}>
                <Spending stack={stack(value.rows ?? [], daySlots(range.from, range.to), 'day')} by="day" span={span} />
                <Totals usage={value} />
              </section>
              <Breakdown usage={value} keys={keys} />
            </div>
            <div>
              <CallList list={calls} />
              <Export filter={filter} empty={value.total.calls === 0} />
            </div>
          </div>
        )}
      </Show>
    </main>
  );
}

function Totals({ usage }: { usage: Usage }) {
  const { calls, input_tokens: input, output_tokens: output } = usage.total;
  const cell = (n: number, name: string) => (
    <div>
      <dt>{name}</dt>
      <dd class="num">{shortNumber(n, locale.value)}</dd>
    </div>
  );
  return (
    <dl class="totals">
      {cell(calls, t('totals.calls'))}
      {cell(input, t('totals.input'))}
      {cell(output, t('totals.output'))}
    </dl>
  );
}

function Breakdown({ usage, keys }: { usage: Usage; keys: Resource<Usage> }) {
  const [by, setBy] = useState<Cut>('model');
  useEffect(() => {
    if (by === 'key') keys.ensure();
  }, [by, keys]);
  const rows = usage.rows ?? [];
  return (
    <Section head={t('breakdown.title')}>
      <div class="pad-top">
        <Segments
          label={t('breakdown.title')}
          name="cut"
          value={by}
          onChange={setBy}
          options={[{ value: 'model', text: t('breakdown.model') }, { value: 'key', text: t('breakdown.key') }, { value: 'day', text: t('breakdown.day') }]}
        />
      </div>
      {by === 'model' && <Lines of={sumBy(rows, (row) => row.model ?? '')} name={(model) => model} />}
      {by === 'day' && <Lines of={sumBy(rows, (row) => (row.start ?? '').slice(0, 10), 'time')} name={(day) => dayText(day, locale.value, (usage.to ?? day).slice(0, 10))} />}
      {by === 'key' && (
        <Show of={keys.now.value} bones={<BoneRows n={2} />} onRetry={() => void keys.refresh()}>
          {(value) => <Lines of={value.rows ?? []} name={(_, row) => (row.key_id === 0 ? t('keys.chats') : row.key_name || t('keys.nameless', { id: String(row.key_id) }))} />}
        </Show>
      )}
    </Section>
  );
}

type Line = Pick<UsageRow, 'calls' | 'cost_nano_usd' | 'input_tokens' | 'output_tokens' | 'key_id' | 'key_name'> & { of?: string };

/** Adds rows up by a name: the dearest first, or the newest. */
function sumBy(rows: UsageRow[], name: (row: UsageRow) => string, order: 'cost' | 'time' = 'cost'): Line[] {
  const sums = new Map<string, Line>();
  for (const row of rows) {
    const of = name(row);
    const sum = sums.get(of) ?? { of, calls: 0, cost_nano_usd: 0, input_tokens: 0, output_tokens: 0 };
    sum.calls += row.calls;
    sum.cost_nano_usd += row.cost_nano_usd;
    sum.input_tokens += row.input_tokens;
    sum.output_tokens += row.output_tokens;
    sums.set(of, sum);
  }
  return [...sums.values()].sort((a, b) => (order === 'time' ? (a.of! < b.of! ? 1 : -1) : b.cost_nano_usd - a.cost_nano_usd));
}

function Lines({ of, name }: { of: Line[]; name: (of: string, line: Line) => string }) {
  if (of.length === 0) return <Blank icon="activity" title={t('activity.empty')} />;
  return (
    <ul class="rows">
      {of.map((line) => (
        <li key={line.of ?? line.key_id}>
          <Row
            title={name(line.of ?? '', line)}
            under={`${t('calls', { n: line.calls })} · ${t('tokens', { n: line.input_tokens + line.output_tokens, count: shortNumber(line.input_tokens + line.output_tokens, locale.value) })}`}
            side={<strong><Amount nano={line.cost_nano_usd} /></strong>}
          />
        </li>
      ))}
    </ul>
  );
}

function CallList({ list }: { list: PagedList<Call> }) {
  const app = useApp();
  const { items, next, error } = list.now.value;
  if (items.length === 0 && error) return <Failure error={error} onRetry={() => void list.restart()} />;
  return (
    <>
      <Section head={t('activity.calls')}>
        {next === undefined ? <BoneRows n={5} />
          : items.length === 0 ? <Blank icon="activity" title={t('activity.empty')} text={t('activity.empty_text')} />
          : (
            <ul class="rows">
              {items.map((call) => (
                <li key={call.id}>
                  <CallRow call={call} when={momentText(call.at, locale.value, app.zone.value)} locale={locale.value} />
                </li>
              ))}
            </ul>
          )}
      </Section>
      <More list={list} />
    </>
  );
}

/** A file of what is shown, sent to the chat: web views keep downloads from people. */
function Export({ filter, empty }: { filter: Record<string, string | undefined>; empty: boolean }) {
  const app = useApp();
  const [busy, setBusy] = useState(false);
  if (empty) return null;
  const send = async () => {
    setBusy(true);
    try {
      const { key_id: key, ...rest } = filter;
      const body = { ...rest, ...(key ? { key_id: Number(key) } : {}), rows: 'calls' };
      await app.api.json<Report>('/api/v1/usage/export/chat', { method: 'POST', body, idempotencyKey: crypto.randomUUID() });
      app.native.haptic('success');
      app.toast(t('export.sent'));
    } catch (error) {
      app.native.haptic('error');
      app.toast(explain(error, app.online.value), 'bad');
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="card">
      <Row icon="file" title={t('export.title')} under={t('export.text')} side={busy ? <span class="spinner" role="status" aria-label={t('loading')} /> : undefined} onPress={busy ? undefined : () => void send()} act />
    </div>
  );
}

function ActivityBones() {
  return (
    <div class="card pad">
      <span class="bone bone-line sum-bone" />
      <div class="bone chart-bone" />
      <BoneRows n={3} />
    </div>
  );
}
