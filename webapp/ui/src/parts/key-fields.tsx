// The fields of a key, as they are typed, and the wish that they come to.

import { useState } from 'preact/hooks';
import type { Key, KeyWish } from '../api/types';
import { useApp } from '../core/app';
import { addDays, isDay } from '../text/days';
import { t } from '../text/i18n';
import { readDollars } from '../text/money';
import { Picker } from './picker';
import { Row, Section } from './lists';
import { Icon } from './icons';

export interface KeyDraft {
  name: string;
  month: string;
  day: string;
  rpm: string;
  /** A day of UTC, the last on which the key works; empty: no end. */
  until: string;
  models: string[];
}

export const NAME_LENGTH = 64;
const MOST = 2_147_483_647;

/** The draft of a key that is there; an empty one for a new key. */
export function draftOf(key?: Key): KeyDraft {
  return {
    name: key?.name ?? '',
    month: key?.budget.month_usd ?? '',
    day: key?.budget.day_usd ?? '',
    rpm: key?.limits.rpm ? String(key.limits.rpm) : '',
    until: key?.expires_at ? new Date(Date.parse(key.expires_at) - 1).toISOString().slice(0, 10) : '',
    models: key?.models ?? [],
  };
}

/** What is wrong with a draft, by field. `until` may stay in the past where it was there. */
export function faults(draft: KeyDraft, today: string, before?: KeyDraft): Partial<Record<keyof KeyDraft, string>> {
  const found: Partial<Record<keyof KeyDraft, string>> = {};
  for (const field of ['month', 'day'] as const) {
    if (draft[field].trim() && readDollars(draft[field]) === undefined) found[field] = t('field.dollars_wrong');
  }
  if (draft.rpm.trim() && !(/^\d+$/.test(draft.rpm.trim()) && Number(draft.rpm) >= 1 && Number(draft.rpm) <= MOST)) found.rpm = t('field.number_wrong');
  if (draft.until && draft.until !== before?.until && (!isDay(draft.until) || draft.until < today)) found.until = t('field.until_wrong');
  return found;
}

/** The wish: every field of a new key; of an older one those that were changed. */
export function wishOf(draft: KeyDraft, before?: KeyDraft): KeyWish {
  const wish: KeyWish = {};
  const changed = (field: keyof KeyDraft) => String(draft[field]) !== String(before?.[field] ?? '');
  if (changed('name')) wish.name = draft.name.trim();
  const budget: NonNullable<KeyWish['budget']> = {};
  if (changed('month')) budget.month_usd = readDollars(draft.month) ?? null;
  if (changed('day')) budget.day_usd = readDollars(draft.day) ?? null;
  if (Object.keys(budget).length > 0) wish.budget = budget;
  if (changed('rpm')) wish.limits = { rpm: draft.rpm.trim() ? Number(draft.rpm) : null };
  if (changed('until')) wish.expires_at = draft.until ? `${addDays(draft.until, 1)}T00:00:00Z` : null;
  if (changed('models')) wish.models = draft.models.length > 0 ? draft.models : null;
  return wish;
}

export function KeyFields({ draft, wrong, onChange }: { draft: KeyDraft; wrong: Partial<Record<keyof KeyDraft, string>>; onChange: (draft: KeyDraft) => void }) {
  const app = useApp();
  const [picking, setPicking] = useState(false);
  const set = (field: keyof KeyDraft) => (value: string) => onChange({ ...draft, [field]: value });
  const models = (app.products.now.value.value?.models ?? []).filter((model) => !draft.models.includes(model.id));
  return (
    <>
      <Section head={t('field.name')}>
        <Field label={t('field.name')} hide value={draft.name} onChange={set('name')} placeholder={t('field.name_example')} maxLength={NAME_LENGTH} />
      </Section>
      <Section head={t('field.bounds')} foot={t('field.bounds_foot')}>
        <Field label={t('field.month')} value={draft.month} onChange={set('month')} wrong={wrong.month} placeholder={t('field.no_bound')} money />
        <Field label={t('field.day')} value={draft.day} onChange={set('day')} wrong={wrong.day} placeholder={t('field.no_bound')} money />
        <Field label={t('field.rpm')} value={draft.rpm} onChange={set('rpm')} wrong={wrong.rpm} placeholder={t('field.default')} inputMode="numeric" />
        <Field label={t('field.until')} value={draft.until} onChange={set('until')} wrong={wrong.until} type="date" min={app.today()} />
      </Section>
      <Section head={t('field.models')} foot={draft.models.length === 0 ? t('field.models_any') : undefined}>
        {draft.models.map((model) => (
          <div class="row" key={model}>
            <span class="body"><span><bdi>{model}</bdi></span></span>
            <button type="button" class="icon-button" aria-label={t('field.model_remove', { model })} onClick={() => onChange({ ...draft, models: draft.models.filter((other) => other !== model) })}>
              <Icon name="close" small />
            </button>
          </div>
        ))}
        <Row icon="plus" title={t('field.model_add')} act onPress={() => { app.products.ensure(); setPicking(true); }} />
      </Section>
      {picking && (
        <Picker
          title={t('field.model_add')}
          value=""
          options={models.map((model) => ({ value: model.id, title: model.id, under: model.provider }))}
          onPick={(model) => onChange({ ...draft, models: [...draft.models, model] })}
          onClose={() => setPicking(false)}
        />
      )}
    </>
  );
}

interface FieldProps {
  label: string;
  hide?: boolean;
  value: string;
  onChange: (value: string) => void;
  wrong?: string;
  placeholder?: string;
  type?: 'date';
  min?: string;
  maxLength?: number;
  inputMode?: 'numeric' | 'decimal';
  money?: boolean;
}

/** A labelled field in a card, with what is wrong with it. */
export function Field(p: FieldProps) {
  return (
    <label class="field">
      <span class={p.hide ? 'sr-only' : 'name'}>{p.label}</span>
      <span class="with">
        {p.money && <span aria-hidden="true">$</span>}
        {p.type === 'date' ? (
          <input type="date" value={p.value} min={p.min} aria-invalid={p.wrong ? 'true' : undefined} onInput={(event) => p.onChange(event.currentTarget.value)} />
        ) : (
          <input
            type="text"
            value={p.value}
            maxLength={p.maxLength}
            placeholder={p.placeholder}
            inputMode={p.money ? 'decimal' : p.inputMode}
            autocomplete="off"
            aria-invalid={p.wrong ? 'true' : undefined}
            onInput={(event) => p.onChange(event.currentTarget.value)}
          />
        )}
      </span>
      {p.wrong && <span class="wrong" role="alert">{p.wrong}</span>}
    </label>
  );
}
