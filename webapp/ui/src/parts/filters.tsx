// What narrows Activity: time, model, key.

import { useState } from 'preact/hooks';
import { useApp } from '../core/app';
import { addDays, countDays, dayText, isDay } from '../text/days';
import { locale, t } from '../text/i18n';
import { Icon, type IconName } from './icons';
import { Picker } from './picker';
import { Sheet } from './sheet';

const PRESETS = [1, 7, 30, 90];
const PRESET = 30;
const LONGEST = 366; // days of a range: the server's bound, and a year

export interface Range {
  from: string;
  to: string;
  /** How many days back from today, where that is what was chosen. */
  preset?: number;
}

/** The range that an address names: "days" back from today, or "from" and "to". Whatever makes
    no sense there is the last thirty days. */
export function readRange(params: Record<string, string>, today: string): Range {
  const { from = '', to = '' } = params;
  if (isDay(from) && isDay(to) && from <= to && countDays(from, to) <= LONGEST) return { from, to };
  const days = PRESETS.find((n) => String(n) === params['days']) ?? PRESET;
  return { from: addDays(today, 1 - days), to: today, preset: days };
}

export function FilterChips({ params, onChange }: { params: Record<string, string>; onChange: (params: Record<string, string>) => void }) {
  const app = useApp();
  const [open, setOpen] = useState<'time' | 'model' | 'key'>();
  const range = readRange(params, app.today());
  const close = () => setOpen(undefined);
  const keys = app.keys.now.value.value ?? [];
  const models = [...new Set([...(app.days.now.value.value?.rows ?? []).map((row) => row.model ?? ''), params['model'] ?? ''])].filter(Boolean).sort();
  const keyName = (id: string) => (id === '0' ? t('keys.chats') : keys.find((key) => String(key.id) === id)?.name || t('keys.nameless', { id }));
  const time = range.preset ? presetText(range.preset) : `${dayText(range.from, locale.value, range.to)} – ${dayText(range.to, locale.value)}`;
  return (
    <>
      <div class="chips" role="group" aria-label={t('filter.title')}>
        <Chip icon="calendar" text={time} on={!range.preset || range.preset !== PRESET} onPress={() => setOpen('time')} />
        <Chip icon="cube" text={params['model'] || t('filter.any_model')} on={Boolean(params['model'])} onPress={() => setOpen('model')} />
        <Chip icon="keys" text={params['key'] ? keyName(params['key']) : t('filter.any_key')} on={Boolean(params['key'])} onPress={() => setOpen('key')} />
      </div>
      {open === 'time' && <RangeSheet range={range} today={app.today()} onClose={close} onPick={(next) => onChange({ ...params, days: '', from: '', to: '', ...next })} />}
      {open === 'model' && (
        <Picker
          title={t('filter.model')}
          value={params['model'] ?? ''}
          options={[{ value: '', title: t('filter.any_model') }, ...models.map((model) => ({ value: model, title: model }))]}
          onPick={(model) => onChange({ ...params, model })}
          onClose={close}
        />
      )}
      {open === 'key' && (
        <Picker
          title={t('filter.key')}
          value={params['key'] ?? ''}
          options={[{ value: '', title: t('filter.any_key') }, { value: '0', title: t('keys.chats') }, ...keys.map((key) => ({ value: String(key.id), title: keyName(String(key.id)), under: key.prefix }))]}
          onPick={(key) => onChange({ ...params, key })}
          onClose={close}
        />
      )}
    </>
  );
}

function presetText(days: number): string {
  return days === 1 ? t('span.today') : t('span.days', { n: days });
}

function Chip({ icon, text, on, onPress }: { icon: IconName; text: string; on: boolean; onPress: () => void }) {
  return (
    <button type="button" class={`chip${on ? ' on' : ''}`} aria-haspopup="dialog" onClick={onPress}>
      <Icon name={icon} small />
      <span><bdi>{text}</bdi></span>
      <Icon name="down" small />
    </button>
  );
}

function RangeSheet({ range, today, onPick, onClose }: { range: Range; today: string; onPick: (params: Record<string, string>) => void; onClose: () => void }) {
  const [from, setFrom] = useState(range.from);
  const [to, setTo] = useState(range.to);
  const wrong = !isDay(from) || !isDay(to) || from > to ? t('filter.range_wrong') : countDays(from, to) > LONGEST ? t('filter.range_long', { n: LONGEST }) : '';
  const done = (params: Record<string, string>) => {
    onPick(params);
    onClose();
  };
  return (
    <Sheet title={t('filter.time')} onClose={onClose}>
      <div class="presets">
        {PRESETS.map((days) => (
          <button key={days} type="button" class={`chip${range.preset === days ? ' on' : ''}`} aria-pressed={range.preset === days} onClick={() => done({ days: String(days) })}>
            <span>{presetText(days)}</span>
          </button>
        ))}
      </div>
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          if (!wrong) done({ from, to });
        }}
      >
        <label class="field">
          <span class="name">{t('filter.from')}</span>
          <input type="date" value={from} max={today} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span class="name">{t('filter.to')}</span>
          <input type="date" value={to} max={today} onInput={(event) => setTo(event.currentTarget.value)} />
          {wrong && <span class="wrong" role="alert">{wrong}</span>}
        </label>
        <div class="pad-all">
          <button type="submit" class="button wide" disabled={wrong !== ''}>{t('filter.apply')}</button>
        </div>
      </form>
    </Sheet>
  );
}
