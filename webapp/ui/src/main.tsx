// Begins the app: reads what Telegram handed over, exchanges it for a session, shows Home.

import './styles/base.css';
import './styles/layout.css';
import './styles/parts.css';
import './styles/screens.css';
import { effect } from '@preact/signals';
import { render, type ComponentChildren } from 'preact';
import { App, AppContext } from './core/app';
import { Live } from './core/live';
import { API } from './core/request';
import { follow } from './core/router';
import { Sessions } from './core/session';
import { Frame } from './frame';
import { Outside } from './outside';
import { Bridge } from './telegram/bridge';
import { readLaunch } from './telegram/launch';
import { Native } from './telegram/native';
import { followTheme, palette } from './telegram/theme';
import { language, nearest, rightToLeft, speak } from './text/i18n';
import { loadLanguage } from './text/load';

async function begin(): Promise<void> {
  const root = document.getElementById('app')!;
  const show = (what: ComponentChildren) => {
    root.replaceChildren(); // the bones of index.html
    render(what, root);
  };
  const bridge = new Bridge(window, readLaunch(location.hash));
  followTheme(bridge, document);
  effect(() => {
    document.documentElement.lang = language.value;
    document.documentElement.dir = rightToLeft.value ? 'rtl' : 'ltr';
  });
  const words = speak(nearest(bridge.launch.language || navigator.language), loadLanguage);
  if (!bridge.inside) {
    await words;
    show(<Outside bot={await botName()} />);
    return;
  }

  const ask: typeof fetch = (...given) => fetch(...given);
  const sessions = new Sessions(bridge.launch.initData, ask, () => Date.now());
  const native = new Native(bridge, () => ({ button: palette.value.button, onButton: palette.value['on-button'] }));
  const app: App = new App(new API(sessions, ask, () => (app.ended.value = true)), native, () => new Date());
  follow(bridge.launch.startParam);
  native.ready();
  const session = sessions.get();
  session.catch(() => undefined); // told by whatever is asked for with it
  await words;
  show(<AppContext.Provider value={app}><Frame /></AppContext.Provider>);

  session.then(
    ({ language: chosen }) => {
      if (chosen && nearest(chosen) !== language.peek()) void speak(nearest(chosen), loadLanguage);
    },
    () => undefined, // told above
  );
  app.settings.ensure();
  goLive(app, sessions);
}

/** Opens the live socket and keeps it open while there is a network. */
function goLive(app: App, sessions: Sessions): void {
  const address = new URL('/api/v1/live', location.href);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  address.hash = '';
  const live = new Live({
    sessions,
    open: () => new WebSocket(address),
    onEvents: (events) => app.hear(events),
    onGap: () => app.refresh(),
    onState: (connected) => {
      app.connected.value = connected;
    },
    onEnd: () => {
      app.ended.value = true;
    },
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  });
  const online = () => {
    const back = navigator.onLine && !app.online.peek();
    app.online.value = navigator.onLine;
    if (back) app.refresh();
    if (navigator.onLine) live.hurry();
  };
  addEventListener('online', online);
  addEventListener('offline', online);
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && live.hurry());
  app.online.value = navigator.onLine;
  live.start();
}

/** The name of the bot that this app belongs to, where the server tells. */
async function botName(): Promise<string | undefined> {
  try {
    const answer = await fetch('/webapp/bot.json', { credentials: 'omit' });
    const { username } = (await answer.json()) as { username?: string };
    return /^\w{3,64}$/.test(username ?? '') ? username : undefined;
  } catch {
    return undefined;
  }
}

void begin();
