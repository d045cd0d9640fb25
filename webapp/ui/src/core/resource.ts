// Something that is loaded: its last value is shown while a newer one is on its way.

import { signal, type ReadonlySignal } from '@preact/signals';

export interface Loaded<T> {
  value?: T;
  /** What went wrong the last time; an older value may still be there. */
  error?: unknown;
  loading: boolean;
}

export class Resource<T> {
  private readonly state = signal<Loaded<T>>({ loading: false });
  private turn = 0;
  private stop: AbortController | undefined;

  constructor(private readonly load: (signal: AbortSignal) => Promise<T>) {}

  get now(): ReadonlySignal<Loaded<T>> {
    return this.state;
  }

  /** Loads anew. What was asked for earlier and answers later is passed over. */
  async refresh(): Promise<void> {
    const turn = ++this.turn;
    this.stop?.abort();
    this.stop = new AbortController();
    this.state.value = { ...this.state.peek(), loading: true };
    try {
      const value = await this.load(this.stop.signal);
      if (turn === this.turn) this.state.value = { value, loading: false };
    } catch (error) {
      if (turn === this.turn) this.state.value = { value: this.state.peek().value, error, loading: false };
    }
  }

  /** Loads when nothing is there and nothing on its way. */
  ensure(): void {
    const { value, loading } = this.state.peek();
    if (value === undefined && !loading) void this.refresh();
  }

  /** Puts a value that was learned otherwise. */
  put(value: T): void {
    this.turn++;
    this.state.value = { value, loading: false };
  }
}
