import { describe, expect, test, vi } from 'vitest';
import { Bridge } from '../src/telegram/bridge';
import { contrast, mix, rgb, standOut } from '../src/telegram/contrast';
import { atLeast, readLaunch } from '../src/telegram/launch';
import { Native, slugOf } from '../src/telegram/native';
import { paletteOf } from '../src/telegram/theme';

const USER = { id: 1, first_name: 'A+B 50%', language_code: 'pt-br' };
const INIT = new URLSearchParams({ user: JSON.stringify(USER), auth_date: '1790000000', start_param: 'keys', hash: 'ab' }).toString();

function fragment(more: Record<string, string> = {}): string {
  return '#' + new URLSearchParams({ tgWebAppData: INIT, tgWebAppVersion: '9.1', tgWebAppPlatform: 'weba', ...more });
}

/** A window that is framed, and the messages that its parent gets. */
function framed() {
  const got: unknown[] = [];
  const parent = { postMessage: (text: string) => got.push(JSON.parse(text)) };
  const listeners: ((event: unknown) => void)[] = [];
  const view = { parent, addEventListener: (_: string, listener: (event: unknown) => void) => listeners.push(listener) };
  const hear = (source: unknown, data: unknown) => listeners.forEach((listener) => listener({ source, data }));
  return { view: view as unknown as Window, parent, got, hear };
}

describe('launch', () => {
  test('initData is kept as it came, its user read', () => {
    const launch = readLaunch(fragment({ tgWebAppThemeParams: '{"bg_color":"#fff","x":1}' }));
    expect(launch.initData).toBe(INIT);
    expect(launch).toMatchObject({ signedAt: 1790000000, version: '9.1', platform: 'weba', language: 'pt-br', startParam: 'keys', theme: { bg_color: '#fff' } });
  });

  test('what is malformed is as if it were not there', () => {
    for (const wrong of ['', '#', '#tgWebAppData=user%3D%257Bbroken', '#tgWebAppThemeParams=null', '#%%%']) {
      expect(readLaunch(wrong)).toMatchObject({ language: '', theme: {}, signedAt: 0 });
    }
  });

  test('versions are compared as numbers', () => {
    expect(atLeast('7.10', '7.9')).toBe(true);
    expect(atLeast('6.9', '7.0')).toBe(false);
    expect(atLeast('8', '8.0')).toBe(true);
    expect(atLeast('', '6.1')).toBe(false);
  });
});

describe('bridge', () => {
  test('a frame talks to its parent, and hears nobody else', () => {
    const { view, parent, got, hear } = framed();
    const bridge = new Bridge(view as never, readLaunch(fragment()));
    bridge.post('web_app_ready');
    expect(got).toEqual([{ eventType: 'web_app_ready', eventData: {} }]);
    const heard = vi.fn();
    const off = bridge.on('theme_changed', heard);
    const event = JSON.stringify({ eventType: 'theme_changed', eventData: { theme_params: {} } });
    hear({}, event);
    hear(parent, 'no JSON');
    hear(parent, JSON.stringify({ eventType: 7 }));
    expect(heard).not.toHaveBeenCalled();
    hear(parent, event);
    expect(heard).toHaveBeenCalledExactlyOnceWith({ theme_params: {} });
    off();
    hear(parent, event);
    expect(heard).toHaveBeenCalledOnce();
  });

  test('phones are told through their proxy, desktops through window.external', () => {
    const proxy = { postEvent: vi.fn() };
    const phone: Record<string, unknown> = { TelegramWebviewProxy: proxy };
    phone['parent'] = phone;
    const bridge = new Bridge(phone as never, readLaunch(fragment()));
    bridge.post('web_app_expand', { a: 1 });
    expect(proxy.postEvent).toHaveBeenCalledWith('web_app_expand', '{"a":1}');
    const heard = vi.fn();
    bridge.on('main_button_pressed', heard);
    (phone['Telegram'] as { WebView: { receiveEvent: (type: string, data: unknown) => void } }).WebView.receiveEvent('main_button_pressed', null);
    expect(heard).toHaveBeenCalledOnce();

    const notify = vi.fn();
    const desktop: Record<string, unknown> = { external: { notify } };
    desktop['parent'] = desktop;
    new Bridge(desktop as never, readLaunch(fragment())).post('web_app_close');
    expect(JSON.parse(notify.mock.calls[0]![0] as string)).toEqual({ eventType: 'web_app_close', eventData: {} });
  });
});

describe('native', () => {
  function native() {
    const { view, parent, got, hear } = framed();
    const made = new Native(new Bridge(view as never, readLaunch(fragment())), () => ({ button: '#111111', onButton: '#ffffff' }));
    const tell = (eventType: string, eventData: unknown = {}) => hear(parent, JSON.stringify({ eventType, eventData }));
    return { native: made, got: got as { eventType: string; eventData: Record<string, unknown> }[], tell };
  }

  test('the main button is pressed while it is active, and once it is gone no more', () => {
    const { native: n, got, tell } = native();
    const press = vi.fn();
    n.setMain({ text: 'Pay', onPress: press });
    expect(got.at(-1)!.eventData).toMatchObject({ is_visible: true, is_active: true, text: 'Pay', color: '#111111' });
    tell('main_button_pressed');
    n.setMain({ text: 'Pay', onPress: press, busy: true });
    tell('main_button_pressed');
    n.setMain(undefined);
    tell('main_button_pressed');
    expect(press).toHaveBeenCalledOnce();
    expect(got.at(-1)!.eventData).toMatchObject({ is_visible: false });
  });

  test('back belongs to what was opened last', () => {
    const { native: n, got, tell } = native();
    const [first, second] = [vi.fn(), vi.fn()];
    const leaveFirst = n.pushBack(first);
    const leaveSecond = n.pushBack(second);
    tell('back_button_pressed');
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1]);
    leaveSecond();
    tell('back_button_pressed');
    expect(first).toHaveBeenCalledOnce();
    leaveFirst();
    expect(got.at(-1)).toEqual({ eventType: 'web_app_setup_back_button', eventData: { is_visible: false } });
  });

  test('a popup is answered once; a second one ends the first', async () => {
    const { native: n, tell } = native();
    const first = n.confirm({ message: 'a', confirm: 'Yes' });
    const second = n.confirm({ message: 'b', confirm: 'Yes' });
    expect(await first).toBe(false);
    tell('popup_closed', { button_id: 'yes' });
    expect(await second).toBe(true);
  });

  test('an invoice is told by its own name only', async () => {
    const { native: n, got, tell } = native();
    const status = n.invoice('https://t.me/$abc123');
    expect(got.at(-1)).toEqual({ eventType: 'web_app_open_invoice', eventData: { slug: 'abc123' } });
    tell('invoice_closed', { slug: 'other', status: 'paid' });
    tell('invoice_closed', { slug: 'abc123', status: 'cancelled' });
    expect(await status).toBe('cancelled');
    expect(slugOf('https://t.me/invoice/xyz?x=1')).toBe('xyz');
    expect(slugOf('https://t.me/%24xyz')).toBe('xyz');
  });
});

describe('theme', () => {
  test('contrast is that of WCAG', () => {
    expect(contrast('#000', '#ffffff')).toBeCloseTo(21);
    expect(contrast('#767676', '#ffffff')).toBeCloseTo(4.54, 1);
    expect(rgb('#abc')).toEqual([170, 187, 204]);
    expect(rgb('red')).toBeUndefined();
    expect(mix('#000000', '#ffffff', 0.5)).toBe('#808080');
    expect(standOut('#ffff00', ['#ffffff'])).not.toBe('#ffff00');
  });

  test('every palette can be read, whatever it is made of', () => {
    const themes: Record<string, string>[] = [
      {},
      { bg_color: '#18222d', secondary_bg_color: '#131415', section_bg_color: '#18222d', text_color: '#ffffff', hint_color: '#b1c3d5', link_color: '#62bcf9', button_color: '#2ea6ff', button_text_color: '#ffffff' },
      { bg_color: '#ffffff', secondary_bg_color: '#ffffff', text_color: '#eeeeee', hint_color: '#eeeeee', button_color: '#ffee00', button_text_color: '#ffffff', accent_text_color: '#fefefe' },
      { bg_color: 'javascript:', text_color: 'url(x)', button_color: '' },
    ];
    for (const theme of themes) {
      for (const prefersDark of [true, false]) {
        const { palette } = paletteOf(theme, prefersDark);
        for (const ground of [palette.card, palette.ground]) {
          expect(contrast(palette.text, ground)).toBeGreaterThanOrEqual(7);
          for (const ink of [palette.hint, palette.accent, palette.danger]) expect(contrast(ink, ground)).toBeGreaterThanOrEqual(4.5);
        }
        expect(contrast(palette['on-button'], palette.button)).toBeGreaterThanOrEqual(4.5);
        expect(contrast(palette.accent, mix(palette.card, palette.accent, 0.125))).toBeGreaterThanOrEqual(4.5);
        expect(palette.ground).not.toBe(palette.card);
      }
    }
  });
});
