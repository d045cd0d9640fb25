// What the Telegram app does for us: buttons, vibrations, popups, payments.

import type { Bridge } from './bridge';

export type Haptic = 'light' | 'medium' | 'success' | 'warning' | 'error' | 'select';
export type InvoiceStatus = 'paid' | 'pending' | 'cancelled' | 'failed';

export interface MainButton {
  text: string;
  onPress: () => void;
  active?: boolean;
  busy?: boolean;
}

export interface Popup {
  title?: string;
  message: string;
  /** The words on the button that goes on, and on the one that does not. */
  confirm: string;
  cancel?: string;
  destructive?: boolean;
}

export class Native {
  private main: MainButton | undefined;
  private backs: (() => void)[] = [];
  private answer: ((confirmed: boolean) => void) | undefined;

  constructor(
    private readonly bridge: Bridge,
    private readonly colours: () => { button: string; onButton: string },
  ) {
    bridge.on('main_button_pressed', () => this.pressMain());
    bridge.on('back_button_pressed', () => this.backs.at(-1)?.());
    bridge.on('popup_closed', (data) => this.closePopup(data['button_id'] === 'yes'));
  }

  /** The user's language by Telegram. */
  get language(): string {
    return this.bridge.launch.language;
  }

  /** Tells Telegram that something can be seen. */
  ready(): void {
    this.bridge.post('web_app_ready');
    this.bridge.post('web_app_expand');
    this.bridge.post('web_app_setup_swipe_behavior', { allow_vertical_swipe: true });
  }

  /** Shows the button under the app, or hides it. */
  setMain(button: MainButton | undefined): void {
    this.main = button;
    const { button: color, onButton } = this.colours();
    this.bridge.post('web_app_setup_main_button', {
      is_visible: button !== undefined,
      is_active: button !== undefined && button.active !== false && !button.busy,
      is_progress_visible: button?.busy === true,
      text: button?.text ?? '',
      color,
      text_color: onButton,
    });
  }

  /** Shows Telegram's back button for as long as the returned function was not called. The
      newest of several is the one that is pressed. */
  pushBack(press: () => void): () => void {
    this.backs.push(press);
    this.bridge.post('web_app_setup_back_button', { is_visible: true });
    return () => {
      this.backs = this.backs.filter((other) => other !== press);
      if (this.backs.length === 0) this.bridge.post('web_app_setup_back_button', { is_visible: false });
    };
  }

  haptic(kind: Haptic): void {
    if (!this.bridge.supports('6.1')) return;
    const data =
      kind === 'select' ? { type: 'selection_change' }
      : kind === 'light' || kind === 'medium' ? { type: 'impact', impact_style: kind }
      : { type: 'notification', notification_type: kind };
    this.bridge.post('web_app_trigger_haptic_feedback', data);
  }

  /** Asks before the app is closed, and keeps a swipe from closing it. */
  guard(on: boolean): void {
    this.bridge.post('web_app_setup_closing_behavior', { need_confirmation: on });
    this.bridge.post('web_app_setup_swipe_behavior', { allow_vertical_swipe: !on });
  }

  /** Asks in Telegram's own window. False when it was closed otherwise. */
  confirm(popup: Popup): Promise<boolean> {
    this.closePopup(false);
    this.bridge.post('web_app_open_popup', {
      title: (popup.title ?? '').slice(0, 64),
      message: popup.message.slice(0, 256),
      buttons: [
        { id: 'yes', type: popup.destructive ? 'destructive' : 'default', text: popup.confirm },
        popup.cancel ? { id: 'no', type: 'default', text: popup.cancel } : { id: 'no', type: 'cancel' },
      ],
    });
    return new Promise((resolve) => {
      this.answer = resolve;
    });
  }

  /** Opens an invoice's link and tells how its window was closed, which is a hint and no
      proof: only the balance tells what was paid. */
  invoice(link: string): Promise<InvoiceStatus> {
    const slug = slugOf(link);
    return new Promise((resolve) => {
      const off = this.bridge.on('invoice_closed', (data) => {
        if (data['slug'] !== slug) return;
        off();
        resolve(data['status'] as InvoiceStatus);
      });
      this.bridge.post('web_app_open_invoice', { slug });
    });
  }

  openLink(url: string): void {
    this.bridge.post('web_app_open_link', { url });
  }

  close(): void {
    this.bridge.post('web_app_close');
  }

  private pressMain(): void {
    if (this.main && this.main.active !== false && !this.main.busy) this.main.onPress();
  }

  private closePopup(confirmed: boolean): void {
    const answer = this.answer;
    this.answer = undefined;
    answer?.(confirmed);
  }
}

/** The name of an invoice in its link: t.me/$slug or t.me/invoice/slug. */
export function slugOf(link: string): string {
  const path = link.split(/[?#]/, 1)[0]!;
  const last = path.slice(path.lastIndexOf('/') + 1);
  return last.replace(/^(\$|%24)/i, '');
}
