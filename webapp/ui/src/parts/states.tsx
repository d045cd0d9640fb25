// What a screen shows instead of its contents: nothing there yet, or something went wrong.

import type { ComponentChildren } from 'preact';
import { useApp } from '../core/app';
import { explain } from '../core/explain';
import type { Loaded } from '../core/resource';
import { t } from '../text/i18n';
import { Icon, type IconName } from './icons';

/** `page`: all there is on the page, so that its title is the page's. */
export function Blank({ icon, title, text, page, children }: { icon: IconName; title: string; text?: string; page?: boolean; children?: ComponentChildren }) {
  return (
    <div class="blank">
      <Icon name={icon} />
      {page ? <h1>{title}</h1> : <strong>{title}</strong>}
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

/** Says what went wrong, and tries again. */
export function Failure({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const app = useApp();
  return (
    <div role="alert">
      <Blank icon={app.online.value ? 'warn' : 'offline'} title={t('error.title')} text={explain(error, app.online.value)}>
        <button type="button" class="button quiet" onClick={onRetry}>{t('error.retry')}</button>
      </Blank>
    </div>
  );
}

/** Shows what was loaded; until then its bones, and what went wrong where nothing is there. */
export function Show<T>({ of, bones, onRetry, children }: {
  of: Loaded<T>;
  bones: ComponentChildren;
  onRetry: () => void;
  children: (value: T) => ComponentChildren;
}) {
  if (of.value !== undefined) return <>{children(of.value)}</>;
  if (of.error !== undefined && !of.loading) return <Failure error={of.error} onRetry={onRetry} />;
  return (
    <div aria-busy="true">
      <span class="sr-only">{t('loading')}</span>
      {bones}
    </div>
  );
}
