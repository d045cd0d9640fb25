// Telegram's theme as our custom properties, faint colours strengthened.

import { signal } from '@preact/signals';
import type { Bridge } from './bridge';
import { contrast, luminance, mix, rgb, standOut } from './contrast';
import { parse, strings } from './launch';

/** Our colours by the names they have in the style sheets. */
export interface Palette {
  ground: string;
  card: string;
  text: string;
  hint: string;
  accent: string;
  button: string;
  'on-button': string;
  danger: string;
  line: string;
}

const LIGHT = { bg: '#ffffff', ground: '#f1f1f5', text: '#000000', hint: '#707579', accent: '#0077d6', danger: '#d32f2f' };
const DARK = { bg: '#1d2733', ground: '#151e27', text: '#ffffff', hint: '#8b9aa8', accent: '#6ab3f3', danger: '#ff6b63' };

/** Makes the palette of theme parameters, of which any may be missing or no colour. */
export function paletteOf(theme: Record<string, string>, prefersDark: boolean): { palette: Palette; dark: boolean } {
  const given = (name: string) => (rgb(theme[name] ?? '') ? theme[name]! : undefined);
  const seen = given('bg_color') ?? given('secondary_bg_color');
  const dark = seen ? luminance(seen) < 0.18 : prefersDark;
  const base = dark ? DARK : LIGHT;
  const card = given('section_bg_color') ?? given('bg_color') ?? base.bg;
  let ground = given('secondary_bg_color') ?? base.ground;
  if (ground.toLowerCase() === card.toLowerCase()) ground = mix(card, '#000000', dark ? 0.25 : 0.05);
  const both = [card, ground];
  const text = standOut(given('text_color') ?? base.text, both, 7);
  const onButton = given('button_text_color') ?? '#ffffff';
  const button = given('button_color') ?? (dark ? '#2f6ea5' : base.accent);
  return {
    dark,
    palette: {
      ground,
      card,
      text,
      hint: standOut(given('subtitle_text_color') ?? given('hint_color') ?? base.hint, both, 4.6),
      accent: accentOf(given('accent_text_color') ?? given('link_color') ?? base.accent, both, card),
      button: contrast(button, onButton) >= 4.5 ? button : standOut(button, [onButton]),
      'on-button': onButton,
      danger: standOut(given('destructive_text_color') ?? base.danger, both, 4.6),
      line: given('section_separator_color') ?? mix(card, text, dark ? 0.12 : 0.1),
    },
  };
}

/** The accent that stands out from the grounds, and from a card with an eighth of itself, as
    chips and chosen rows are. A brighter accent makes a brighter tint, hence the rounds. */
function accentOf(given: string, grounds: string[], card: string): string {
  for (let round = 0, accent = given; ; round++, given = accent) {
    accent = standOut(given, [...grounds, mix(card, given, 0.125)], 4.6);
    if (accent === given || round > 8) return accent;
  }
}

export const dark = signal(false);
export const palette = signal<Palette>(paletteOf({}, false).palette);

/** Follows Telegram's theme, safe areas and the size of the window, from now on. */
export function followTheme(bridge: Bridge, page: Document): void {
  const style = page.documentElement.style;
  const media = page.defaultView?.matchMedia?.('(prefers-color-scheme: dark)');
  let theme = bridge.launch.theme;
  const apply = () => {
    const made = paletteOf(theme, media?.matches ?? false);
    for (const [name, colour] of Object.entries(made.palette)) style.setProperty(`--${name}`, colour);
    style.colorScheme = made.dark ? 'dark' : 'light';
    page.documentElement.dataset['scheme'] = made.dark ? 'dark' : 'light';
    dark.value = made.dark;
    palette.value = made.palette;
    bridge.post('web_app_set_header_color', { color: made.palette.ground });
    bridge.post('web_app_set_background_color', { color: made.palette.ground });
    if (bridge.supports('7.10')) bridge.post('web_app_set_bottom_bar_color', { color: made.palette.card });
  };
  bridge.on('theme_changed', (data) => {
    theme = strings(parse(data['theme_params']));
    apply();
  });
  media?.addEventListener('change', apply);
  apply();

  const inset = (prefix: string) => (data: Record<string, unknown>) => {
    for (const side of ['top', 'bottom', 'left', 'right']) {
      const size = data[side];
      if (typeof size === 'number') style.setProperty(`--${prefix}-${side}`, `${size}px`);
    }
  };
  bridge.on('safe_area_changed', inset('safe'));
  bridge.on('content_safe_area_changed', inset('content'));
  bridge.on('viewport_changed', (data) => {
    if (typeof data['height'] === 'number') style.setProperty('--viewport', `${data['height']}px`);
  });
  bridge.post('web_app_request_theme');
  bridge.post('web_app_request_viewport');
  if (bridge.supports('8.0')) {
    bridge.post('web_app_request_safe_area');
    bridge.post('web_app_request_content_safe_area');
  }
}
