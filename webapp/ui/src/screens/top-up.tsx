import { useEffect, useRef, useState } from 'preact/hooks';
import type { Products, TopUp as Begun, TopUpWish } from '../api/types';
import { useApp } from '../core/app';
import { explain } from '../core/explain';
import { back } from '../core/router';
import { Amount } from '../parts/amount';
import { Star } from '../parts/icons';
import { Field } from '../parts/key-fields';
import { BoneRows, Section, Segments } from '../parts/lists';
import { NativeButton } from '../parts/main-button';
import { Blank, Show } from '../parts/states';
import { locale, t } from '../text/i18n';
import { costText, decimal, dollars, NANO, readDollars } from '../text/money';

const STARS = [100, 250, 500, 1000, 2500, 5000];
const DOLLARS = ['5', '10', '20', '50', '100', '200'];
const CARD_SCALE = 2; // decimals of a card payment

type Ways = Products['top_up'];

export default function TopUp() {
  const app = useApp();
  useEffect(() => {
    app.products.ensure();
    app.balance.ensure();
  }, []);
  return (
    <main class="screen narrow alone">
      <h1 class="title">{t('topup.title')}</h1>
      <Show of={app.products.now.value} bones={<div class="card"><BoneRows n={3} /></div>} onRetry={() => void app.products.refresh()}>
        {({ top_up: ways }) => (ways.stars || ways.card ? <Choice ways={ways} /> : <Blank icon="card" title={t('topup.none')} text={t('topup.none_text')} />)}
      </Show>
    </main>
  );
}

function Choice({ ways }: { ways: Ways }) {
  const app = useApp();
  const [method, setMethod] = useState<'stars' | 'card'>(ways.stars ? 'stars' : 'card');
  const [chosen, setChosen] = useState<Record<'stars' | 'card', string>>({ stars: '250', card: '10' });
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const wishes = useRef({ name: '', key: '' });

  const value = typed.trim() || chosen[method];
  const wish = readWish(method, value, ways);
  const presets = method === 'stars'
    ? STARS.filter((n) => n >= ways.stars!.least && n <= ways.stars!.most).map(String)
    : DOLLARS.filter((n) => Number(n) >= Number(ways.card!.least_usd) && Number(n) <= Number(ways.card!.most_usd));

  const pay = async () => {
    if (!wish.body || busy) return;
    setBusy(true);
    const name = JSON.stringify(wish.body);
    if (wishes.current.name !== name) wishes.current = { name, key: crypto.randomUUID() };
    try {
      const begun = await app.api.json<Begun>('/api/v1/payment/topup', { method: 'POST', body: wish.body, idempotencyKey: wishes.current.key });
      if (begun.method === 'card') {
        app.native.openLink(begun.checkout_url);
        app.toast(t('topup.card_opened'));
        return;
      }
      const status = await app.native.invoice(begun.checkout_url);
      wishes.current = { name: '', key: '' }; // a paid invoice is not paid again
      if (status === 'paid' || status === 'pending') {
        app.native.haptic('success');
        app.toast(t('topup.paid', { sum: costText(begun.credit_nano_usd, locale.value) }));
        void app.balance.refresh();
        back('home');
      } else if (status === 'failed') {
        app.native.haptic('error');
        app.toast(t('topup.failed'), 'bad');
      }
    } catch (error) {
      app.native.haptic('error');
      app.toast(explain(error, app.online.value), 'bad');
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      {ways.stars && ways.card && (
        <Segments
          label={t('topup.method')}
          name="method"
          value={method}
          onChange={(next) => {
            setMethod(next);
            setTyped('');
          }}
          options={[{ value: 'stars', text: t('method.stars') }, { value: 'card', text: t('method.card') }]}
        />
      )}
      <div class="amounts" role="radiogroup" aria-label={t('topup.amount')}>
        {presets.map((preset) => (
          <button
            key={preset}
            type="button"
            role="radio"
            class="amount"
            aria-checked={value === preset}
            onClick={() => {
              app.native.haptic('select');
              setTyped('');
              setChosen({ ...chosen, [method]: preset });
            }}
          >
            {method === 'stars' ? (
              <>
                <strong class="num"><Star />{new Intl.NumberFormat(locale.value).format(Number(preset))}</strong>
                <small><Amount nano={Number(preset) * ways.stars!.nano_usd_per_star} as="balance" /></small>
              </>
            ) : (
              <strong class="num">{dollars(preset, locale.value)}</strong>
            )}
          </button>
        ))}
      </div>
      <Section head={t('topup.another')} foot={boundsText(method, ways)}>
        <Field
          label={method === 'stars' ? t('topup.stars') : t('topup.dollars')}
          value={typed}
          onChange={setTyped}
          placeholder={chosen[method]}
          inputMode={method === 'stars' ? 'numeric' : 'decimal'}
          money={method === 'card'}
          wrong={typed.trim() && !wish.body ? t('topup.amount_wrong') : undefined}
        />
      </Section>
      <p class="section-foot">{t('topup.foot')}</p>
      <NativeButton
        text={wish.body ? t('topup.pay', { price: wish.price, credit: wish.credit }) : t('topup.title')}
        active={wish.body !== undefined}
        busy={busy}
        onPress={() => void pay()}
      />
    </>
  );
}

interface Wish {
  /** undefined: what was typed is no amount that can be paid. */
  body?: TopUpWish;
  price: string;
  credit: string;
}

function readWish(method: 'stars' | 'card', value: string, ways: Ways): Wish {
  const none = { price: '', credit: '' };
  if (method === 'stars') {
    const { least, most, nano_usd_per_star: worth } = ways.stars!;
    const stars = /^\d{1,6}$/.test(value) ? Number(value) : 0;
    if (stars < least || stars > most) return none;
    return { body: { method, stars }, price: `⭐ ${new Intl.NumberFormat(locale.value).format(stars)}`, credit: costText(stars * worth, locale.value) };
  }
  const usd = readDollars(value);
  if (!usd || (usd.split('.')[1] ?? '').replace(/0+$/, '').length > CARD_SCALE) return none;
  if (Number(usd) < Number(ways.card!.least_usd) || Number(usd) > Number(ways.card!.most_usd)) return none;
  const exact = decimal(Math.round(Number(usd) * 100) * (NANO / 100), CARD_SCALE, 'cut');
  const text = dollars(exact, locale.value);
  return { body: { method, usd: exact }, price: text, credit: text };
}

function boundsText(method: 'stars' | 'card', ways: Ways): string {
  const number = (n: number) => new Intl.NumberFormat(locale.value).format(n);
  return method === 'stars'
    ? t('topup.bounds', { least: number(ways.stars!.least), most: number(ways.stars!.most) })
    : t('topup.bounds', { least: dollars(ways.card!.least_usd, locale.value), most: dollars(ways.card!.most_usd, locale.value) });
}
