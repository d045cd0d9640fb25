// What was spent in a range: the sum, the bars, and the models by what they cost.

import { useLayoutEffect, useState } from 'preact/hooks';
import { REST, type Stack } from '../chart/stack';
import { language, locale, rightToLeft, t } from '../text/i18n';
import { dayText, longDayText } from '../text/days';
import { costText, shortNumber } from '../text/money';
import { Amount } from './amount';
import { Chart } from './chart';
import { colours } from './colours';

interface Props {
  stack: Stack;
  by: 'day' | 'hour';
  /** What the sum is of, such as "7 days". */
  span: string;
  /** The change from the time before, in percent, and what that time is called. */
  change?: number;
  before?: string;
}

export function Spending({ stack, by, span, change, before }: Props) {
  const [picked, pick] = useState<number>();
  useLayoutEffect(() => colours.rank(stack.models), [stack]);
  const column = picked === undefined ? undefined : stack.columns[picked];
  const total = column?.total ?? stack.total;
  const parts = column?.parts ?? stack.totals;
  const name = (model: string) => (model === REST ? t('models.rest') : model);
  const time = (at: string) => (by === 'day' ? dayText(at, locale.value) : `${at.slice(11, 13)}:00`);
  const long = (at: string) => (by === 'day' ? longDayText(at, locale.value) : time(at));
  const money = (nano: number) => costText(nano, locale.value);
  return (
    <div key={language.value}>
      <div class="spend-head" aria-live="polite">
        <Amount nano={total} class="sum" />
        <span class="when">
          {column ? long(column.at) : change === undefined ? span : <Change percent={change} before={before!} />}
        </span>
      </div>
      <Chart
        stack={stack}
        colour={(model) => colours.of(model)}
        label={time}
        value={(nano) => axisText(nano)}
        summary={t('chart.summary', { span, sum: money(stack.total) })}
        tell={(i) => `${long(stack.columns[i]!.at)}: ${money(stack.columns[i]!.total)}`}
        picked={picked}
        onPick={pick}
        rightToLeft={rightToLeft.value}
      />
      {stack.models.length > 0 && (
        <ul class="legend">
          {stack.models.map((model, i) => (
            <li key={model}>
              <span class="swatch" style={{ background: colours.of(model) }} />
              <span class="name"><bdi>{name(model)}</bdi></span>
              <span class="share num">{total > 0 ? percent(parts[i]! / total) : ''}</span>
              <Amount nano={parts[i]!} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Change({ percent: by, before }: { percent: number; before: string }) {
  const sign = by > 0 ? '+' : by < 0 ? '−' : '±';
  return (
    <>
      <bdi class="num" dir="ltr">{`${sign}${shortNumber(Math.abs(by), locale.value)}%`}</bdi> {before}
    </>
  );
}

function percent(part: number): string {
  return new Intl.NumberFormat(locale.value, { style: 'percent', maximumFractionDigits: 0 }).format(part);
}

/** An amount on the axis: as few characters as tell it. */
export function axisText(nano: number): string {
  const value = nano / 1e9;
  if (value === 0) return '$0';
  return `$${new Intl.NumberFormat(locale.value, { notation: 'compact', maximumSignificantDigits: 2 }).format(value)}`;
}
