// The bridge to the Telegram app around us: events go out by whichever way the app offers
// (a proxy object on phones, window.external on desktops, messages to the parent frame on
// the web) and come back through one function.

import { atLeast, parse, type Launch } from './launch';

export type Handler = (data: Record<string, unknown>) => void;

interface Proxy {
  postEvent(type: string, data: string): void;
}

interface TelegramWindow extends Window {
  TelegramWebviewProxy?: Proxy;
  Telegram?: { WebView?: { receiveEvent?: (type: string, data: unknown) => void } };
  TelegramGameProxy?: { receiveEvent: (type: string, data: unknown) => void };
  TelegramGameProxy_receiveEvent?: (type: string, data: unknown) => void;
}

export class Bridge {
  private readonly handlers = new Map<string, Set<Handler>>();

  constructor(
    private readonly window: TelegramWindow,
    readonly launch: Launch,
  ) {
    const receive = (type: string, data: unknown) => this.receive(type, data);
    window.Telegram = { ...window.Telegram, WebView: { ...window.Telegram?.WebView, receiveEvent: receive } };
    window.TelegramGameProxy = { receiveEvent: receive }; // by which iOS calls
    window.TelegramGameProxy_receiveEvent = receive;
    if (this.framed) window.addEventListener('message', (event) => this.hear(event));
  }

  /** Inside Telegram: with signed data, and somebody to talk to. */
  get inside(): boolean {
    return this.launch.initData !== '';
  }

  supports(version: string): boolean {
    return atLeast(this.launch.version, version);
  }

  /** Sends an event. The parent frame may be any of Telegram's web clients, whose address
      is not told; nothing that is sent is a secret, and our own policy says who may frame us. */
  post(type: string, data: Record<string, unknown> = {}): void {
    const external = (this.window as { external?: { notify?: (text: string) => void } }).external;
    if (this.window.TelegramWebviewProxy) {
      this.window.TelegramWebviewProxy.postEvent(type, JSON.stringify(data));
    } else if (external && typeof external.notify === 'function') {
      external.notify(JSON.stringify({ eventType: type, eventData: data }));
    } else if (this.framed) {
      this.window.parent.postMessage(JSON.stringify({ eventType: type, eventData: data }), '*');
    }
  }

  /** Calls the handler for every event of the type; the returned function ends that. */
  on(type: string, handler: Handler): () => void {
    const all = this.handlers.get(type) ?? new Set();
    this.handlers.set(type, all.add(handler));
    return () => all.delete(handler);
  }

  private get framed(): boolean {
    return this.window.parent !== this.window;
  }

  private hear(event: MessageEvent): void {
    if (event.source !== this.window.parent || typeof event.data !== 'string') return;
    const message = parse(event.data);
    if (typeof message['eventType'] === 'string') this.receive(message['eventType'], message['eventData']);
  }

  private receive(type: string, data: unknown): void {
    const given = parse(data ?? '{}');
    for (const handler of [...(this.handlers.get(type) ?? [])]) handler(given);
  }
}
