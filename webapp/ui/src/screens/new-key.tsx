// Makes a key and shows it, this once.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { MadeKey } from '../api/types';
import { useApp } from '../core/app';
import { copy } from '../core/copy';
import { explain } from '../core/explain';
import { back } from '../core/router';
import { draftOf, faults, KeyFields, wishOf } from '../parts/key-fields';
import { Icon } from '../parts/icons';
import { Row, Section } from '../parts/lists';
import { NativeButton } from '../parts/main-button';
import { t } from '../text/i18n';

export default function NewKey() {
  const app = useApp();
  const [draft, setDraft] = useState(draftOf);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState<MadeKey>();
  const wish = useRef({ key: crypto.randomUUID(), text: '' });
  useEffect(() => app.products.ensure(), []);

  const wrong = faults(draft, app.today());
  const create = async () => {
    setTried(true);
    if (busy || Object.keys(wrong).length > 0) return;
    setBusy(true);
    const body = wishOf(draft);
    // A wish that was sent and not answered keeps its name; another wish has another.
    const text = JSON.stringify(body);
    if (wish.current.text !== text) wish.current = { key: crypto.randomUUID(), text };
    try {
      const answer = await app.api.json<MadeKey>('/api/v1/keys', { method: 'POST', body, idempotencyKey: wish.current.key });
      app.native.haptic('success');
      setMade(answer);
      void app.keys.refresh();
    } catch (error) {
      app.native.haptic('error');
      app.toast(explain(error, app.online.value), 'bad');
    } finally {
      setBusy(false);
    }
  };
  if (made) return <Made made={made} />;
  return (
    <main class="screen narrow alone">
      <h1 class="title">{t('keys.new')}</h1>
      <form onSubmit={(event) => { event.preventDefault(); void create(); }}>
        <KeyFields draft={draft} wrong={tried ? wrong : {}} onChange={setDraft} />
        <button type="submit" class="sr-only" tabIndex={-1}>{t('keys.create')}</button>
      </form>
      <NativeButton text={t('keys.create')} busy={busy} onPress={() => void create()} />
    </main>
  );
}

function Made({ made }: { made: MadeKey }) {
  const app = useApp();
  const [blocked, setBlocked] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const base = `${location.origin}/v1`;
  useEffect(() => {
    app.native.guard(true);
    return () => app.native.guard(false);
  }, []);
  const take = async (text: string) => {
    if (await copy(text)) {
      app.native.haptic('success');
      app.toast(t('copied'));
      return;
    }
    setBlocked(true);
    field.current?.focus();
    field.current?.select();
  };
  if (!made.key) {
    return (
      <main class="screen narrow alone">
        <h1 class="title">{made.name}</h1>
        <p class="section-foot">{t('keys.shown_before')}</p>
        <NativeButton text={t('done')} onPress={() => back('keys')} />
      </main>
    );
  }
  return (
    <main class="screen narrow alone">
      <h1 class="title">{t('keys.made')}</h1>
      <p class="lead-text">{t('keys.once')}</p>
      <Section head={made.name || t('keys.nameless', { id: String(made.id) })} foot={blocked ? t('copy.blocked') : undefined}>
        <textarea ref={field} class="secret" readOnly rows={3} value={made.key} aria-label={t('keys.secret')} onFocus={(event) => event.currentTarget.select()} />
        <Row icon="copy" title={t('keys.copy')} act onPress={() => void take(made.key!)} />
      </Section>
      <Section head={t('keys.how')}>
        <pre class="code" tabIndex={0}>{`OPENAI_BASE_URL=${base}\nOPENAI_API_KEY=${made.prefix}`}</pre>
        <Row icon="copy" title={t('keys.copy_base')} under={<bdi dir="ltr">{base}</bdi>} act onPress={() => void take(base)} />
      </Section>
      <p class="section-foot"><Icon name="warn" small /> {t('keys.keep')}</p>
      <NativeButton text={t('keys.saved')} onPress={() => back('keys')} />
    </main>
  );
}
