import { Blank } from './parts/states';
import { t } from './text/i18n';

/** What is shown where Telegram has signed nothing: this is no page of the web. */
export function Outside({ bot }: { bot: string | undefined }) {
  return (
    <main class="outside">
      <Blank page icon="chat" title={t('outside.title')} text={t('outside.text')}>
        {bot && <a class="button" href={`https://t.me/${bot}`} rel="noreferrer">{t('outside.open', { bot: `@${bot}` })}</a>}
      </Blank>
    </main>
  );
}
