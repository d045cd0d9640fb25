import { useEffect } from 'preact/hooks';
import type { Key } from '../api/types';
import { useApp } from '../core/app';
import { go } from '../core/router';
import { Amount } from '../parts/amount';
import { Icon } from '../parts/icons';
import { BoneRows, Row, Section } from '../parts/lists';
import { Blank, Show } from '../parts/states';
import { agoText } from '../text/days';
import { locale, t } from '../text/i18n';
import { dollars } from '../text/money';

export default function Keys() {
  const app = useApp();
  useEffect(() => app.keys.ensure(), []);
  return (
    <main class="screen narrow">
      <div class="title-row">
        <h1 class="title">{t('tab.keys')}</h1>
        <button type="button" class="icon-button" aria-label={t('keys.new')} onClick={() => go('newkey')}>
          <Icon name="plus" />
        </button>
      </div>
      <Section foot={t('keys.foot')}>
        <Show of={app.keys.now.value} bones={<BoneRows n={3} />} onRetry={() => void app.keys.refresh()}>
          {(keys) =>
            keys.length === 0 ? (
              <Blank icon="keys" title={t('keys.empty')} text={t('keys.empty_text')}>
                <button type="button" class="button" onClick={() => go('newkey')}>{t('keys.new')}</button>
              </Blank>
            ) : (
              <ul class="rows">
                {keys.map((key) => <li key={key.id}><KeyRow of={key} /></li>)}
              </ul>
            )
          }
        </Show>
      </Section>
    </main>
  );
}

function KeyRow({ of }: { of: Key }) {
  const app = useApp();
  const used = of.last_used_at ? t('keys.used', { when: agoText(of.last_used_at, app.now().getTime(), locale.value) }) : t('keys.unused');
  return (
    <Row
      icon="keys"
      title={of.name || t('keys.nameless', { id: String(of.id) })}
      under={of.status === 'expired' ? <span class="danger">{t('keys.expired')}</span> : used}
      side={
        <>
          <strong><Amount nano={of.spent.month_nano_usd} /></strong>
          <small>{of.budget.month_usd ? t('keys.of_month', { sum: dollars(of.budget.month_usd, locale.value) }) : t('keys.this_month')}</small>
        </>
      }
      leads
      onPress={() => go('key', { id: String(of.id) })}
    />
  );
}
