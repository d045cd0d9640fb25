import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Product } from '../api/types';
import { useApp, type App } from '../core/app';
import { explain } from '../core/explain';
import { go, place } from '../core/router';
import { Talk, type Said } from '../core/talk';
import { Amount } from '../parts/amount';
import { Answer } from '../parts/answer';
import { Icon } from '../parts/icons';
import { Picker } from '../parts/picker';
import { estimate, priceText } from '../parts/prices';
import { Blank, Show } from '../parts/states';
import { locale, t } from '../text/i18n';
import { shortNumber } from '../text/money';

const CHARACTERS_PER_TOKEN = 4; // about, until the provider tells
const EXAMPLES = ['play.example_1', 'play.example_2', 'play.example_3'] as const;

/** Conversations outlive the screen, not the app. */
const talks = new WeakMap<App, Talk>();

function talkOf(app: App): Talk {
  const talk = talks.get(app) ?? new Talk(app.api);
  talks.set(app, talk);
  return talk;
}

export default function Play() {
  const app = useApp();
  useEffect(() => {
    app.products.ensure();
    app.settings.ensure();
  }, []);
  return (
    <main class="play">
      <Show of={app.products.now.value} bones={<div class="bone bone-card" />} onRetry={() => void app.products.refresh()}>
        {(products) => {
          const models = products.models.filter((model) => model.operations.includes('chat'));
          const wanted = [place.value.params['model'], app.settings.now.value.value?.model, products.default_model, models[0]?.id];
          const model = wanted.map((id) => models.find((each) => each.id === id)).find(Boolean);
          return model ? <Conversation models={models} model={model} /> : <Blank icon="cube" title={t('play.none')} />;
        }}
      </Show>
    </main>
  );
}

function Conversation({ models, model }: { models: Product[]; model: Product }) {
  const app = useApp();
  const talk = useMemo(() => talkOf(app), [app]);
  const [picking, setPicking] = useState(false);
  const said = talk.messages.value;
  const end = useRef<HTMLDivElement>(null);
  const length = said.at(-1)?.text.length ?? 0;
  useEffect(() => {
    const gap = document.documentElement.scrollHeight - innerHeight - scrollY;
    if (gap < 240 || said.at(-1)?.text === '') end.current?.scrollIntoView({ block: 'end' });
  }, [said.length, length]);
  return (
    <>
      <div class="play-top">
        <h1 class="sr-only">{t('tab.play')}</h1>
        <button type="button" class="chip" aria-haspopup="dialog" onClick={() => setPicking(true)}>
          <Icon name="cube" small />
          <span><bdi>{model.id}</bdi></span>
          <Icon name="down" small />
        </button>
        {said.length > 0 && (
          <button type="button" class="icon-button" aria-label={t('play.clear')} onClick={() => talk.clear()}>
            <Icon name="trash" />
          </button>
        )}
      </div>
      <div class="talk" role="log" aria-live="polite" aria-label={t('play.conversation')}>
        {said.length === 0 && <Beginning model={model} onPick={(text) => void talk.ask(model.id, text)} />}
        {said.map((each, i) => (
          <Bubble key={each.id} said={each} last={i === said.length - 1} models={models} asked={said.slice(0, i)} busy={talk.busy.value} onRetry={() => void talk.retry(model.id)} />
        ))}
      </div>
      <Composer busy={talk.busy.value} onSend={(text) => void talk.ask(model.id, text)} onStop={() => talk.stop()} />
      <div ref={end} />
      {picking && (
        <Picker
          title={t('play.model')}
          value={model.id}
          options={models.map((each) => ({ value: each.id, title: each.id, under: priceText(each) }))}
          onPick={(id) => go('play', { model: id }, 'replace')}
          onClose={() => setPicking(false)}
        />
      )}
    </>
  );
}

function Beginning({ model, onPick }: { model: Product; onPick: (text: string) => void }) {
  return (
    <Blank icon="sparkle" title={t('play.hello')} text={`${model.id} · ${priceText(model)}`}>
      <div class="examples">
        {EXAMPLES.map((key) => (
          <button key={key} type="button" class="chip" onClick={() => onPick(t(key))}>
            <span>{t(key)}</span>
          </button>
        ))}
      </div>
    </Blank>
  );
}

function Bubble({ said, last, models, asked, busy, onRetry }: { said: Said; last: boolean; models: Product[]; asked: Said[]; busy: boolean; onRetry: () => void }) {
  const app = useApp();
  if (said.by === 'user') return <p class="bubble mine" dir="auto">{said.text}</p>;
  const running = last && busy;
  return (
    <>
      {(said.text !== '' || running) && <div class={`bubble${running ? ' waiting' : ''}`}><Answer text={said.text} /></div>}
      {said.error !== undefined && <p class="bubble broken" role="alert">{explain(said.error, app.online.value)}</p>}
      <div class="bubble-foot">
        <Bill said={said} models={models} asked={asked} />
        {said.stopped && <span>{t('play.stopped')}</span>}
        {last && !busy && <button type="button" class="link" onClick={onRetry}>{t('play.retry')}</button>}
      </div>
    </>
  );
}

/** What an answer costs: estimated while it grows, then as billed. */
function Bill({ said, models, asked }: { said: Said; models: Product[]; asked: Said[] }) {
  if (said.bill) {
    const n = said.bill.input + said.bill.output;
    return (
      <span>
        <Amount nano={said.bill.nano} /> · {t('tokens', { n, count: shortNumber(n, locale.value) })}
      </span>
    );
  }
  const model = models.find((each) => each.id === said.model);
  if (!model || said.text === '' || said.error !== undefined) return null;
  const tokens = (text: string) => Math.ceil(text.length / CHARACTERS_PER_TOKEN);
  const input = asked.reduce((sum, each) => sum + tokens(each.text), 0);
  return <span>≈ <Amount nano={estimate(model, input, tokens(said.text))} /></span>;
}

function Composer({ busy, onSend, onStop }: { busy: boolean; onSend: (text: string) => void; onStop: () => void }) {
  const app = useApp();
  const [text, setText] = useState('');
  const send = () => {
    const trimmed = text.trim();
    if (!trimmed || busy) return;
    app.native.haptic('light');
    setText('');
    onSend(trimmed);
  };
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); send(); }}>
      <textarea
        rows={1}
        value={text}
        dir="auto"
        aria-label={t('play.message')}
        placeholder={t('play.message')}
        maxLength={32_000}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing || !matchMedia('(pointer: fine)').matches) return;
          event.preventDefault();
          send();
        }}
      />
      {busy
        ? <button type="button" aria-label={t('play.stop')} onClick={onStop}><Icon name="stop" /></button>
        : <button type="submit" aria-label={t('play.send')} disabled={text.trim() === ''}><Icon name="send" /></button>}
    </form>
  );
}
