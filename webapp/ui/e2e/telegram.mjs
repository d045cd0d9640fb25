// A Telegram around the app, as its web client is one: the page of another site with the app
// in a frame, which draws the main and the back button, popups and invoices, and tells theme
// and sizes. What the app has sent is in window.sent.

const HOST = 'https://web.telegram.org/k/';

export const THEMES = {
  light: {
    bg_color: '#ffffff', secondary_bg_color: '#f4f4f5', section_bg_color: '#ffffff', text_color: '#000000', hint_color: '#707579',
    link_color: '#00488f', button_color: '#3390ec', button_text_color: '#ffffff', accent_text_color: '#3390ec',
    subtitle_text_color: '#707579', destructive_text_color: '#df3f40', section_header_text_color: '#3390ec',
  },
  dark: {
    bg_color: '#212121', secondary_bg_color: '#181818', section_bg_color: '#212121', text_color: '#ffffff', hint_color: '#aaaaaa',
    link_color: '#8774e1', button_color: '#8774e1', button_text_color: '#ffffff', accent_text_color: '#8774e1',
    subtitle_text_color: '#aaaaaa', destructive_text_color: '#ff595a', section_header_text_color: '#aaaaaa',
  },
};

/** Opens the app. Returns the page (Telegram's) and the frame (the app's). */
export async function openApp(context, { url, initData = '', theme = 'light', startParam = '', query = '' }) {
  const fragment = new URLSearchParams({ tgWebAppVersion: '9.0', tgWebAppPlatform: 'weba', tgWebAppThemeParams: JSON.stringify(THEMES[theme]) });
  if (initData) fragment.set('tgWebAppData', initData);
  if (startParam) fragment.set('tgWebAppStartParam', startParam);
  const address = `${url}${query}#${fragment}`;
  await context.route(`${HOST}**`, (route) => route.fulfill({ contentType: 'text/html', body: hostPage(address, THEMES[theme]) }));
  const page = await context.newPage();
  await page.goto(HOST);
  const handle = await page.waitForSelector('iframe');
  const frame = await handle.contentFrame();
  return { page, frame };
}

/** Sends the app an event of Telegram's. */
export function tell(page, eventType, eventData = {}) {
  return page.evaluate(([type, data]) => globalThis.tell(type, data), [eventType, eventData]);
}

/** Presses Telegram's button under the app. */
export async function pressMain(page) {
  await page.locator('#main:not([disabled])').click();
}

/** Presses it where that takes it away, and returns when the app has the room it left: what
    is pressed next would else move from under the pointer. */
export async function pressLast(page, frame) {
  await pressMain(page);
  await roomy(page, frame);
}

/** Waits until there is no button under the app, and the app is laid out without it. */
export async function roomy(page, frame) {
  await page.locator('#main').waitFor({ state: 'hidden' });
  const height = await page.locator('iframe').evaluate((element) => element.clientHeight);
  await frame.waitForFunction((wanted) => innerHeight === wanted, height);
}

function hostPage(address, theme) {
  return `<!doctype html><meta charset="utf-8"><title>Telegram</title><style>
    html, body { margin: 0; height: 100%; background: ${theme.secondary_bg_color}; font: 16px sans-serif; color: ${theme.text_color}; }
    body { display: flex; flex-direction: column; }
    header { display: flex; align-items: center; gap: 12px; height: 48px; padding: 0 14px; font-weight: 600; }
    iframe { flex: 1; border: 0; width: 100%; }
    #main { margin: 8px 12px 12px; height: 48px; border: 0; border-radius: 12px; font: 600 16px sans-serif; }
    #popup { position: fixed; inset: 0; margin: auto; }
    [hidden] { display: none !important; }
  </style>
  <header><button id="back" hidden aria-label="Back">←</button><span>KikuAI</span></header>
  <iframe title="KikuAI" src="${address.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>
  <button id="main" hidden></button>
  <dialog id="popup"><p></p><div></div></dialog>
  <script>
    const frame = document.querySelector('iframe');
    const main = document.querySelector('#main');
    const back = document.querySelector('#back');
    const popup = document.querySelector('#popup');
    window.sent = [];
    window.tell = (eventType, eventData) => frame.contentWindow.postMessage(JSON.stringify({ eventType, eventData }), '*');
    main.onclick = () => tell('main_button_pressed');
    back.onclick = () => tell('back_button_pressed');
    addEventListener('message', ({ source, data }) => {
      if (source !== frame.contentWindow) return;
      const { eventType: type, eventData: event } = JSON.parse(data);
      sent.push({ type, event });
      if (type === 'web_app_setup_main_button') {
        main.hidden = !event.is_visible;
        main.disabled = !event.is_active;
        main.textContent = event.text;
        main.style.background = event.color;
        main.style.color = event.text_color;
      }
      if (type === 'web_app_setup_back_button') back.hidden = !event.is_visible;
      if (type === 'web_app_open_popup') {
        popup.firstElementChild.textContent = event.message;
        popup.lastElementChild.replaceChildren(...event.buttons.map(({ id, text }) => {
          const button = document.createElement('button');
          button.textContent = text || 'Cancel';
          button.id = 'popup-' + id;
          button.onclick = () => { popup.close(); tell('popup_closed', { button_id: id }); };
          return button;
        }));
        popup.showModal();
      }
    });
  </script>`;
}
