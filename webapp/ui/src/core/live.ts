// The live socket: what happens to the account, as it happens. A drop loses nothing: the id
// of the last event is told when the socket is opened again. An id is a place in the ledger:
// several events may share it, and taking one in twice does no harm.

import type { Sessions } from './session';
import { OpenAgain } from './errors';

export interface LiveEvent {
  id: string;
  type: 'balance' | 'usage' | 'payment' | 'key' | 'settings';
  at: string;
  data: Record<string, unknown>;
}

interface Frame {
  type: string;
  events?: LiveEvent[];
  resume?: 'full' | 'gap';
}

export interface LiveOptions {
  sessions: Pick<Sessions, 'get' | 'drop'>;
  /** Opens the socket. */
  open: () => WebSocket;
  onEvents: (events: LiveEvent[]) => void;
  /** Events were missed, or may have been: load anew. */
  onGap: () => void;
  onState: (connected: boolean) => void;
  /** No session can be had any more. */
  onEnd: () => void;
  /** Calls back after so many milliseconds; returns how to take that back. */
  after: (ms: number, call: () => void) => () => void;
  random: () => number;
}

const FIRST_WAIT = 500; // ms
const LONGEST_WAIT = 30_000;
const REFUSED = 4401; // the session has ended, or the key was revoked

export class Live {
  private socket: WebSocket | undefined;
  private last: string | null = null;
  private failures = 0;
  private cancel: (() => void) | undefined;
  private stopped = false;
  private token = '';

  constructor(private readonly options: LiveOptions) {}

  start(): void {
    void this.connect();
  }

  /** Tries at once, as when the network or the user comes back. */
  hurry(): void {
    if (this.stopped || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    this.failures = 0;
    this.cancel?.();
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.cancel?.();
    this.socket?.close(1000);
  }

  private async connect(): Promise<void> {
    this.cancel = undefined;
    try {
      this.token = (await this.options.sessions.get()).token;
    } catch (error) {
      if (error instanceof OpenAgain) this.options.onEnd();
      else this.again();
      return;
    }
    if (this.stopped || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    const socket = this.options.open();
    this.socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', token: this.token, after: this.last }));
    socket.onmessage = (message) => this.hear(message.data);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.options.onState(false);
      if (event.code === REFUSED) this.options.sessions.drop(this.token);
      this.again();
    };
  }

  private hear(data: unknown): void {
    if (typeof data !== 'string') return;
    const frame = JSON.parse(data) as Frame;
    this.failures = 0;
    this.options.onState(true);
    if (frame.resume === 'gap') this.options.onGap();
    const events = frame.events ?? [];
    this.last = events.at(-1)?.id ?? this.last;
    if (events.length > 0) this.options.onEvents(events);
  }

  private again(): void {
    if (this.stopped) return;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures++);
    this.cancel = this.options.after(wait * (0.5 + this.options.random() / 2), () => void this.connect());
  }
}
