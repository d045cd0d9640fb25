// Which colour a model has: the same wherever it is shown, for as long as the app is open.

import { signal } from '@preact/signals';
import { COLOURS, REST } from '../chart/stack';

class Colours {
  private readonly ranked = signal<readonly string[]>([]);

  /** Gives colours that are left to models, the dearest first. */
  rank(models: readonly string[]): void {
    const fresh = models.filter((model) => model !== REST && !this.ranked.peek().includes(model));
    if (fresh.length > 0) this.ranked.value = [...this.ranked.peek(), ...fresh];
  }

  of(model: string): string {
    const i = this.ranked.value.indexOf(model);
    return i >= 0 && i < COLOURS ? `var(--c${i})` : 'var(--c-rest)';
  }
}

export const colours = new Colours();
