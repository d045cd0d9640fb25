// What a Mini App in a frame and the app around it say to each other, as Telegram's web
// apps do it: JSON texts {eventType, eventData} by postMessage.
// https://core.telegram.org/api/web-events, https://core.telegram.org/api/bots/webapps

const MOST_UNITS = 64 * 1024; // of one event; more is not read
export const VERSION = '9.6';  // of the events that are known here

const TOKENS = { // Telegram's theme parameters, and the page's colour of each
  bg_color: '--surface', text_color: '--text', hint_color: '--muted', link_color: '--link', button_color: '--accent', button_text_color: '--on-accent',
  secondary_bg_color: '--app-ground', header_bg_color: '--surface', bottom_bar_bg_color: '--surface', accent_text_color: '--link', section_bg_color: '--surface',
  section_header_text_color: '--link', section_separator_color: '--line', subtitle_text_color: '--muted', destructive_text_color: '--danger',
};

/** The page's colours as Telegram's ThemeParams. */
export function themeParams() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [name, style.getPropertyValue(token).trim()]));
}

/** The address that a Mini App is opened with: what it is handed stands behind the #. */
export function launchAddress(address, data, theme, platform = 'weba') {
  const fields = { tgWebAppData: data, tgWebAppVersion: VERSION, tgWebAppPlatform: platform, tgWebAppThemeParams: JSON.stringify(theme) };
  const handed = Object.entries(fields).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const hash = address.indexOf('#');
  return `${address}${hash < 0 ? '#' : address.endsWith('#') ? '' : '&'}${handed}`;
}

/** A colour that a Mini App names, as CSS takes it, or null. */
export const colour = (value) => (/^#[0-9a-f]{6}$/i.test(value ?? '') ? value : null);

/** Black or white, whichever is easier to read on a colour. */
export function inkOn(value) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000000' : '#ffffff';
}

/**
 * Listens to a frame's events: `handlers` has a function by event type. Only the frame itself, at the address it
 * was opened with, is heard and spoken to. Returns {send(type, data), close()}.
 */
export function connect(frame, handlers) {
  const { origin } = new URL(frame.src);
  let heard = false; // until then nobody is there to be spoken to
  const hear = (event) => {
    if (event.source !== frame.contentWindow || event.origin !== origin) return;
    if (typeof event.data !== 'string' || event.data.length > MOST_UNITS) return;
    let said;
    try {
      said = JSON.parse(event.data);
    } catch {
      return; // pages in frames may say other things to each other
    }
    heard = true;
    if (Object.hasOwn(handlers, said?.eventType)) handlers[said.eventType](said.eventData ?? {});
  };
  addEventListener('message', hear);
  return {
    send: (eventType, eventData = {}) => heard && frame.contentWindow?.postMessage(JSON.stringify({ eventType, eventData }), origin),
    close: () => removeEventListener('message', hear),
  };
}
