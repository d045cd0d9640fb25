// A key that is there: its bounds, what it spent, and its end.

import { useEffect, useState } from 'preact/hooks';
import type { Key } from '../api/types';
import { useApp } from '../core/app';
import { explain } from '../core/explain';
import { back, go, place } from '../core/router';
import { Amount } from '../parts/amount';
import { draftOf, faults, KeyFields, wishOf } from '../parts/key-fields';
import { BoneRows, Row, Section } from '../parts/lists';
import { NativeButton } from '../parts/main-button';
import { Blank, Show } from '../parts/states';
import { dayOf, dayText, momentText } from '../text/days';
import { locale, t } from '../text/i18n';

export default function KeyScreen() {
  const app = useApp();
  const id = place.value.params['id'];
  useEffect(() => app.keys.ensure(), []);
  return (
    <main class="screen narrow alone">
      <Show of={app.keys.now.value} bones={<div class="card"><BoneRows n={4} /></div>} onRetry={() => void app.keys.refresh()}>
        {(keys) => {
          const key = keys.find((each) => String(each.id) === id);
          return key ? <Details key={key.id} of={key} /> : <Blank icon="keys" title={t('keys.gone')}><button type="button" class="button quiet" onClick={() => back('keys')}>{t('tab.keys')}</button></Blank>;
        }}
      </Show>
    </main>
  );
}

function Details({ of }: { of: Key }) {
  const app = useApp();
  const before = draftOf(of);
  const [draft, setDraft] = useState(before);
  const [busy, setBusy] = useState(false);
  const wrong = faults(draft, app.today(), before);
  const wish = wishOf(draft, before);
  const changed = Object.keys(wish).length > 0;
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    try {
      await work();
      app.native.haptic('success');
    } catch (error) {
      app.native.haptic('error');
      app.toast(explain(error, app.online.value), 'bad');
    } finally {
      setBusy(false);
    }
  };
  const save = () => attempt(async () => {
    const changedKey = await app.api.json<Key>(`/api/v1/keys/${of.id}`, { method: 'PATCH', body: wish });
    app.keys.put((app.keys.now.peek().value ?? []).map((each) => (each.id === of.id ? changedKey : each)));
    setDraft(draftOf(changedKey));
    app.toast(t('saved'));
  });
  const revoke = async () => {
    const name = of.name || t('keys.nameless', { id: String(of.id) });
    if (!(await app.native.confirm({ title: t('keys.revoke'), message: t('keys.revoke_ask', { name }), confirm: t('keys.revoke'), destructive: true }))) return;
    await attempt(async () => {
      await app.api.json(`/api/v1/keys/${of.id}`, { method: 'DELETE' });
      app.keys.put((app.keys.now.peek().value ?? []).filter((each) => each.id !== of.id));
      app.toast(t('keys.revoked'));
      back('keys');
    });
  };
  return (
    <>
      <h1 class="title"><bdi>{of.name || t('keys.nameless', { id: String(of.id) })}</bdi></h1>
      <Section>
        <Row title={<bdi class="mono" dir="ltr">{of.prefix}</bdi>} side={of.status === 'expired' ? <span class="badge warn">{t('keys.expired')}</span> : undefined} />
        <Row title={t('keys.spent_month')} side={<strong><Amount nano={of.spent.month_nano_usd} /></strong>} leads onPress={() => go('activity', { key: String(of.id) })} />
        <Row title={t('keys.last_used')} side={of.last_used_at ? momentText(of.last_used_at, locale.value, app.zone.value) : t('keys.never')} />
        <Row title={t('keys.created')} side={dayText(dayOf(new Date(of.created_at), app.zone.value), locale.value, app.today())} />
      </Section>
      <KeyFields draft={draft} wrong={wrong} onChange={setDraft} />
      <div class="card">
        <Row icon="trash" title={t('keys.revoke')} act danger onPress={() => void revoke()} />
      </div>
      {changed && <NativeButton text={t('save')} busy={busy} active={Object.keys(wrong).length === 0} onPress={() => void save()} />}
    </>
  );
}
