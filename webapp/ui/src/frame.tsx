// The frame around the screens: tabs, notices, Telegram's back button.

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useApp } from './core/app';
import { back, go, place, TABS, type Screen } from './core/router';
import { Icon } from './parts/icons';
import { Blank } from './parts/states';
import Home from './screens/home';
import { t } from './text/i18n';

type Loader = () => Promise<{ default: ComponentType }>;

/** All but the first screen are loaded when they are gone to, and ahead once all is quiet. */
const LOADERS: Record<Exclude<Screen, 'home'>, Loader> = {
  activity: () => import('./screens/activity'),
  keys: () => import('./screens/keys'),
  play: () => import('./screens/play'),
  settings: () => import('./screens/settings'),
  transactions: () => import('./screens/transactions'),
  topup: () => import('./screens/top-up'),
  newkey: () => import('./screens/new-key'),
  key: () => import('./screens/key'),
};

/** Where back leads from screens that are no tab. */
const PARENTS: Partial<Record<Screen, Screen>> = { transactions: 'home', topup: 'home', newkey: 'keys', key: 'keys' };

const loaded = new Map<Screen, ComponentType>([['home', Home]]);

export function Frame() {
  const app = useApp();
  const { screen } = place.value;
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState(false);
  const Here = loaded.get(screen);
  const parent = PARENTS[screen];

  const load = async (wanted: Screen) => {
    if (wanted === 'home' || loaded.has(wanted)) return;
    loaded.set(wanted, (await LOADERS[wanted]()).default);
  };
  const show = () => {
    setFailed(false);
    load(screen).then(() => redraw((n) => n + 1), () => setFailed(true));
  };
  useEffect(() => {
    if (!Here) show();
  }, [screen]);
  useEffect(() => {
    const ahead = setTimeout(() => TABS.forEach((tab) => void load(tab).catch(() => undefined)), 1500);
    return () => clearTimeout(ahead);
  }, []);
  useEffect(() => (parent ? app.native.pushBack(() => back(parent)) : undefined), [parent]);

  if (app.ended.value) return <Again />;
  return (
    <div class="frame">
      {!parent || wide() ? <Tabs current={parent ?? screen} /> : null}
      {Here ? <Here /> : (
        <main class="screen" aria-busy={!failed}>
          {failed
            ? <Blank icon="offline" title={t('error.title')} text={t('error.network')}><button type="button" class="button quiet" onClick={show}>{t('error.retry')}</button></Blank>
            : <><span class="sr-only">{t('loading')}</span><div class="bone bone-card" /><div class="bone bone-card" /></>}
        </main>
      )}
      <Notices />
    </div>
  );
}

function wide(): boolean {
  return matchMedia('(min-width: 860px)').matches;
}

function Tabs({ current }: { current: Screen }) {
  const app = useApp();
  return (
    <nav class="tabs" aria-label={t('tabs')}>
      {TABS.map((tab) => (
        <button
          key={tab}
          type="button"
          class="tab"
          aria-current={tab === current ? 'page' : undefined}
          onClick={() => {
            if (tab === place.value.screen) {
              scrollTo({ top: 0, behavior: 'smooth' });
              return;
            }
            app.native.haptic('select');
            go(tab);
          }}
        >
          <Icon name={tab} />
          <span>{t(`tab.${tab}`)}</span>
        </button>
      ))}
    </nav>
  );
}

function Notices() {
  const app = useApp();
  return (
    <>
      <div class="notice" role="status" aria-live="polite">
        {!app.online.value && <div><Icon name="offline" small />{t('offline')}</div>}
      </div>
      <div class="notice low" role="status" aria-live="polite">
        {app.toasts.value.map((toast) => (
          <div key={toast.id}><Icon name={toast.kind === 'ok' ? 'check' : 'warn'} small />{toast.text}</div>
        ))}
      </div>
    </>
  );
}

/** Telegram's data has grown too old for a new session. */
function Again() {
  const app = useApp();
  return (
    <main class="outside">
      <Blank page icon="clock" title={t('again.title')} text={t('again.text')}>
        <button type="button" class="button" onClick={() => app.native.close()}>{t('again.close')}</button>
      </Blank>
    </main>
  );
}
