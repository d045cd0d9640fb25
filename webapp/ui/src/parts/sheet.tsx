import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useApp } from '../core/app';
import { t } from '../text/i18n';
import { Icon } from './icons';

/** A sheet from below, over everything: closed by Telegram's back button, Escape, a press
    beside it, or its cross. */
export function Sheet({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const app = useApp();
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement as HTMLElement | null;
    box.current?.showModal();
    const leave = app.native.pushBack(onClose);
    return () => {
      leave();
      opener?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={box}
      class="sheet"
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === box.current && onClose()}
    >
      <div class="sheet-head">
        <h2>{title}</h2>
        <button type="button" class="icon-button" aria-label={t('close')} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </dialog>
  );
}
