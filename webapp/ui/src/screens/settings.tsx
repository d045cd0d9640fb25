import { useEffect, useState } from 'preact/hooks';
import type { Settings as Chosen, SettingsWish } from '../api/types';
import { useApp } from '../core/app';
import { explain } from '../core/explain';
import { Amount } from '../parts/amount';
import { BoneRows, Row, Section, SwitchRow } from '../parts/lists';
import { Picker, type Option } from '../parts/picker';
import { priceText } from '../parts/prices';
import { Show } from '../parts/states';
import { deviceZone, knownZones } from '../text/days';
import { LANGUAGES, OWN_NAMES, language, locale, nearest, speak, t } from '../text/i18n';
import { loadLanguage } from '../text/load';
import { dollars } from '../text/money';

type Choice = 'language' | 'zone' | 'model' | 'forget';

const FORGETS = [3600, 21_600, 86_400, 604_800, 2_592_000]; // seconds

export default function Settings() {
  const app = useApp();
  useEffect(() => {
    for (const each of [app.settings, app.products, app.organisation]) each.ensure();
  }, []);
  return (
    <main class="screen narrow">
      <h1 class="title">{t('tab.settings')}</h1>
      <Show of={app.settings.now.value} bones={<div class="card"><BoneRows n={6} /></div>} onRetry={() => void app.settings.refresh()}>
        {(chosen) => <Choices chosen={chosen} />}
      </Show>
      <Organisation />
      <p class="section-foot centred">{t('settings.account', { id: String(app.balance.now.value.value?.account_id ?? '…') })}</p>
    </main>
  );
}

function Choices({ chosen }: { chosen: Chosen }) {
  const app = useApp();
  const [open, setOpen] = useState<Choice>();
  const close = () => setOpen(undefined);
  const change = async (wish: SettingsWish) => {
    const before = app.settings.now.peek().value!;
    app.settings.put({ ...before, ...wish } as Chosen);
    app.native.haptic('select');
    try {
      app.settings.put(await app.api.json<Chosen>('/api/v1/settings', { method: 'PATCH', body: wish }));
    } catch (error) {
      app.settings.put(before);
      app.native.haptic('error');
      app.toast(explain(error, app.online.value), 'bad');
    }
  };
  const zone = chosen.time_zone;
  const forget = chosen.forget_after_seconds;
  return (
    <>
      <Section>
        <Row icon="globe" tint="var(--c0)" title={t('settings.language')} side={OWN_NAMES[language.value]} leads onPress={() => setOpen('language')} />
        <Row icon="clock" tint="var(--c5)" title={t('settings.zone')} side={(zone ?? deviceZone()).replace(/_/g, ' ')} leads onPress={() => setOpen('zone')} />
      </Section>
      <Section head={t('settings.chats')} foot={t('settings.chats_foot')}>
        <Row icon="cube" tint="var(--c3)" title={t('settings.model')} side={chosen.model ?? app.products.now.value.value?.default_model ?? ''} leads onPress={() => setOpen('model')} />
        <Row icon="chat" tint="var(--c1)" title={t('settings.forget')} side={forget === null ? t('settings.default') : spanText(forget)} leads onPress={() => setOpen('forget')} />
        <SwitchRow title={t('settings.cost')} on={chosen.show_cost} onChange={(on) => void change({ show_cost: on })} />
        <SwitchRow title={t('settings.file')} on={chosen.long_answers_as_file} onChange={(on) => void change({ long_answers_as_file: on })} />
        <SwitchRow title={t('settings.rich')} on={chosen.rich_messages} onChange={(on) => void change({ rich_messages: on })} />
      </Section>
      <Section head={t('settings.notices')}>
        <SwitchRow title={t('settings.low')} on={chosen.notify_low_balance} onChange={(on) => void change({ notify_low_balance: on })} />
        <SwitchRow title={t('settings.news')} on={chosen.notify_news} onChange={(on) => void change({ notify_news: on })} />
      </Section>
      {open === 'language' && (
        <Picker
          title={t('settings.language')}
          value={chosen.language ?? ''}
          options={[{ value: '', title: t('settings.as_telegram') }, ...LANGUAGES.map((each) => ({ value: each, title: OWN_NAMES[each] }))]}
          onPick={(picked) => {
            void speak(nearest(picked || app.native.language), loadLanguage);
            void change({ language: picked || null });
          }}
          onClose={close}
        />
      )}
      {open === 'zone' && <Picker title={t('settings.zone')} value={zone ?? ''} options={zones()} onPick={(picked) => void change({ time_zone: picked || null }).then(() => app.refresh())} onClose={close} />}
      {open === 'model' && (
        <Picker
          title={t('settings.model')}
          value={chosen.model ?? ''}
          options={[
            { value: '', title: t('settings.default'), under: app.products.now.value.value?.default_model ?? undefined },
            ...(app.products.now.value.value?.models ?? []).filter((model) => model.operations.includes('chat')).map((model) => ({ value: model.id, title: model.id, under: priceText(model) })),
          ]}
          onPick={(picked) => void change({ model: picked || null })}
          onClose={close}
        />
      )}
      {open === 'forget' && (
        <Picker
          title={t('settings.forget')}
          value={forget === null ? '' : String(forget)}
          options={[{ value: '', title: t('settings.default') }, ...FORGETS.map((seconds) => ({ value: String(seconds), title: spanText(seconds) }))]}
          onPick={(picked) => void change({ forget_after_seconds: picked ? Number(picked) : null })}
          onClose={close}
        />
      )}
    </>
  );
}

function zones(): Option[] {
  return knownZones().map((zone) => ({ value: zone, title: zone.replace(/_/g, ' '), side: () => offset(zone) }));
}

function offset(zone: string): string {
  return new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'shortOffset' }).formatToParts().find((part) => part.type === 'timeZoneName')?.value ?? '';
}

/** A length of time in its largest unit: 86400 → "1 day". */
function spanText(seconds: number): string {
  const [unit, length] = seconds % 86_400 === 0 ? ['day', 86_400] as const : seconds % 3600 === 0 ? ['hour', 3600] as const : ['minute', 60] as const;
  return new Intl.NumberFormat(locale.value, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.round(seconds / length));
}

function Organisation() {
  const app = useApp();
  const organisation = app.organisation.now.value.value?.organisation;
  if (!organisation) return null;
  const { budget, spent } = organisation;
  return (
    <Section head={t('organisation.title')} foot={t('organisation.foot')}>
      <Row icon="people" title={organisation.name} under={t('organisation.accounts', { n: organisation.accounts })} />
      <Row title={t('organisation.month')} side={<><strong><Amount nano={spent.month_nano_usd} /></strong>{budget.month_usd && <small>{t('keys.of_month', { sum: dollars(budget.month_usd, locale.value) })}</small>}</>} />
    </Section>
  );
}
