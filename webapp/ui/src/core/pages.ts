// A list that is read page by page.

import { signal, type ReadonlySignal } from '@preact/signals';

export interface Pages<T> {
  items: T[];
  /** Where the next page begins; null: there is none. undefined: nothing was read yet. */
  next: string | null | undefined;
  loading: boolean;
  error?: unknown;
}

export class PagedList<T> {
  private readonly state = signal<Pages<T>>({ items: [], next: undefined, loading: false });
  private turn = 0;

  constructor(private readonly load: (cursor: string | undefined) => Promise<{ items: T[]; next: string | null }>) {}

  get now(): ReadonlySignal<Pages<T>> {
    return this.state;
  }

  /** Reads from the beginning; what is shown stays until the answer is there. */
  async restart(): Promise<void> {
    await this.read(undefined, []);
  }

  /** Reads the next page, unless there is none or it is on its way. */
  async more(): Promise<void> {
    const { next, loading, items } = this.state.peek();
    if (typeof next === 'string' && !loading) await this.read(next, items);
  }

  private async read(cursor: string | undefined, before: T[]): Promise<void> {
    const turn = ++this.turn;
    this.state.value = { ...this.state.peek(), loading: true, error: undefined };
    try {
      const { items, next } = await this.load(cursor);
      if (turn === this.turn) this.state.value = { items: [...before, ...items], next, loading: false };
    } catch (error) {
      if (turn === this.turn) this.state.value = { ...this.state.peek(), loading: false, error };
    }
  }
}
