import { useEffect } from 'preact/hooks';
import { useApp } from '../core/app';
import type { MainButton } from '../telegram/native';

/** Telegram's own button under the app, for as long as this is on the screen. */
export function NativeButton({ text, onPress, active = true, busy = false }: MainButton) {
  const app = useApp();
  useEffect(() => {
    app.native.setMain({ text, onPress, active, busy });
  });
  useEffect(() => () => app.native.setMain(undefined), []);
  return null;
}
