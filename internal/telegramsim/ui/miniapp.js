// A Mini App in a frame over the chat, as Telegram opens it.

import { colour, connect, inkOn, launchAddress, themeParams } from './bridge.js';
import { safeLink } from './entities.js';
import { button, el, icon } from './dom.js';
import { toast } from './notices.js';
import { popup } from './popup.js';
import { payLabel } from './stars.js';

const dark = matchMedia('(prefers-color-scheme: dark)');

/** Tells whether an address can stand in a frame of this page. */
export const isAppAddress = (address) => /^https?:/.test(safeLink(address ?? '') ?? '');

/**
 * Opens a Mini App with what Telegram hands it (`data`). `act` has open(address), invoice(link),
 * switchInline(query).
 */
export function openApp(address, title, data, act) {
  const frame = el('iframe', {
    src: launchAddress(safeLink(address), data, themeParams()), title, referrerpolicy: 'no-referrer', 'data-testid': 'mini-app-frame',
    sandbox: 'allow-scripts allow-same-origin allow-popups allow-forms allow-modals', allow: 'fullscreen',
  });
  const back = button({ class: 'icon-button', 'aria-label': 'Back', 'data-testid': 'mini-app-back', hidden: true, on: { click: () => bridge.send('back_button_pressed') } }, icon('left'));
  const settings = button({ class: 'icon-button', 'aria-label': 'Settings of the app', hidden: true, on: { click: () => bridge.send('settings_button_pressed') } }, icon('more'));
  const top = el('div', { class: 'mini-app-top' },
    back, el('strong', { dir: 'auto' }, title), settings,
    button({ class: 'icon-button', 'aria-label': 'Load the app anew', on: { click: () => { frame.src = launchAddress(safeLink(address), data, themeParams()); } } }, icon('reload')),
    button({ class: 'icon-button', 'aria-label': 'Close the app', 'data-testid': 'mini-app-close', on: { click: () => leave() } }, icon('close')));
  const [main, secondary] = ['main', 'secondary'].map((kind) => appButton(kind, () => bridge.send(`${kind}_button_pressed`)));
  const bottom = el('div', { class: 'mini-app-bottom', hidden: true }, secondary.node, main.node);
  const box = el('dialog', { class: 'mini-app', 'aria-label': title, 'data-testid': 'mini-app' }, top, frame, bottom);
  const app = { box, top, bottom, main, secondary, back, settings, confirms: false, asking: false };
  document.body.append(box);
  const bridge = connect(frame, handlers(app, frame, act, () => bridge));
  const sizes = new ResizeObserver(() => viewport(bridge, frame));
  const themed = () => bridge.send('theme_changed', { theme_params: themeParams() });

  /** Closes the app, having asked where it has said that something may be lost. */
  async function leave() {
    if (app.asking) return;
    app.asking = true;
    const sure = !app.confirms || await popup({ title, message: 'Changes that you made may not be saved.', buttons: [{ id: 'close', type: 'destructive', text: 'Close anyway' }, { id: '', type: 'cancel' }] }) === 'close';
    app.asking = false;
    if (sure) box.close();
  }
  box.addEventListener('cancel', (event) => { // Escape
    event.preventDefault();
    if (back.hidden) leave();
    else back.click();
  });
  box.addEventListener('close', () => {
    sizes.disconnect();
    dark.removeEventListener('change', themed);
    bridge.close();
    box.remove();
  });
  sizes.observe(frame);
  dark.addEventListener('change', themed);
  box.showModal();
}

function viewport(bridge, frame) {
  bridge.send('viewport_changed', { width: frame.clientWidth, height: frame.clientHeight, is_expanded: true, is_state_stable: true });
}

// What the app may ask for, by the event that asks.
function handlers(app, frame, act, bridge) {
  const none = { top: 0, bottom: 0, left: 0, right: 0 };
  const buttons = (which) => (data) => {
    app[which].set(data);
    app.bottom.hidden = app.main.node.hidden && app.secondary.node.hidden;
    app.bottom.dataset.position = app.secondary.position;
  };
  return {
    iframe_ready: () => { app.box.dataset.state = 'ready'; },
    web_app_ready: () => { app.box.dataset.state = 'ready'; },
    web_app_expand: () => viewport(bridge(), frame),
    web_app_close: () => app.box.close(),
    web_app_request_viewport: () => viewport(bridge(), frame),
    web_app_request_theme: () => bridge().send('theme_changed', { theme_params: themeParams() }),
    web_app_request_safe_area: () => bridge().send('safe_area_changed', none),
    web_app_request_content_safe_area: () => bridge().send('content_safe_area_changed', none),
    web_app_setup_back_button: ({ is_visible: shown }) => { app.back.hidden = !shown; },
    web_app_setup_settings_button: ({ is_visible: shown }) => { app.settings.hidden = !shown; },
    web_app_setup_closing_behavior: ({ need_confirmation: needed }) => { app.confirms = Boolean(needed); },
    web_app_setup_main_button: buttons('main'),
    web_app_setup_secondary_button: buttons('secondary'),
    web_app_set_header_color: ({ color, color_key: key }) => paint(app.top, colour(color) ?? themeParams()[key]),
    web_app_set_bottom_bar_color: ({ color }) => paint(app.bottom, colour(color)),
    web_app_set_background_color: ({ color }) => paint(app.box, colour(color)),
    web_app_open_link: ({ url }) => act.open(String(url ?? '')),
    web_app_open_tg_link: ({ path_full: path }) => {
      app.box.close();
      act.open(`https://t.me${path}`);
    },
    web_app_open_popup: async (asked) => {
      const pressed = await popup(asked);
      bridge().send('popup_closed', pressed === null ? {} : { button_id: pressed });
    },
    web_app_open_invoice: ({ slug }) => invoice(slug, act, bridge()),
    web_app_switch_inline_query: ({ query }) => {
      app.box.close();
      act.switchInline(String(query ?? ''));
    },
    web_app_read_text_from_clipboard: ({ req_id: id }) => bridge().send('clipboard_text_received', { req_id: id }), // as where it is not allowed
    web_app_request_write_access: () => bridge().send('write_access_requested', { status: 'allowed' }),
    web_app_request_phone: () => bridge().send('phone_requested', { status: 'cancelled' }),
    web_app_request_fullscreen: () => bridge().send('fullscreen_failed', { error: 'UNSUPPORTED' }),
    web_app_check_home_screen: () => bridge().send('home_screen_checked', { status: 'unsupported' }),
    web_app_invoke_custom_method: ({ req_id: id }) => bridge().send('custom_method_invoked', { req_id: id, error: 'METHOD_UNSUPPORTED' }),
  };
}

// Shows an invoice, and tells the app what became of it.
async function invoice(slug, act, bridge) {
  const tell = (status) => bridge.send('invoice_closed', { slug, status });
  try {
    const sheet = await act.invoice(`https://t.me/$${slug}`);
    sheet.addEventListener('close', () => tell({ paid: 'paid', waiting: 'pending' }[sheet.dataset.state] ?? 'cancelled'));
  } catch (error) {
    toast(error.message, 'error');
    tell('failed');
  }
}

function paint(node, value) {
  if (!colour(value)) return;
  node.style.backgroundColor = value;
  node.style.color = inkOn(value);
}

// One of the two wide buttons below an app, which says itself what it is like.
function appButton(kind, press) {
  const node = button({ class: `app-button ${kind}`, 'data-testid': `mini-app-${kind}`, hidden: true, on: { click: press } });
  const self = { node, position: 'left' };
  self.set = (data) => {
    node.hidden = !data.is_visible || !data.text;
    node.disabled = !data.is_active;
    node.replaceChildren(data.is_progress_visible ? el('span', { class: 'spinner', role: 'status', 'aria-label': 'Working' }) : '', ...payLabel(String(data.text ?? '')));
    node.setAttribute('aria-busy', String(Boolean(data.is_progress_visible)));
    node.style.backgroundColor = colour(data.color) ?? '';
    node.style.color = colour(data.text_color) ?? '';
    self.position = ['left', 'right', 'top', 'bottom'].includes(data.position) ? data.position : 'left';
  };
  return self;
}
