// All that lives as long as the app is open, wired once.

import { batch, computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Balance, Call, Calls, Key, Keys, Organisation, Products, Settings, Usage } from '../api/types';
import type { Native } from '../telegram/native';
import { addDays, dayOf, deviceZone } from '../text/days';
import type { API } from './request';
import { query } from './request';
import type { LiveEvent } from './live';
import { Resource } from './resource';

export const HISTORY = 60; // days of spending that Home loads: thirty, and those before
const FEED = 8; // calls that Home shows
const SETTLED = 1500; // ms after an event until the ledger is read: a burst is read once

export interface Toast {
  id: number;
  text: string;
  kind: 'ok' | 'bad';
}

export class App {
  readonly balance = new Resource<Balance>((signal) => this.api.json('/api/v1/balance', { signal }));
  readonly settings = new Resource<Settings>((signal) => this.api.json('/api/v1/settings', { signal }));
  readonly products = new Resource<Products>((signal) => this.api.json('/api/v1/products', { signal }));
  readonly keys = new Resource<Key[]>((signal) => this.allKeys(signal));
  readonly organisation = new Resource<{ organisation: Organisation | null }>((signal) => this.api.json('/api/v1/organisation', { signal }));
  readonly days = new Resource<Usage>((signal) => {
    const today = this.today();
    return this.api.json('/api/v1/usage' + query({ from: addDays(today, 1 - HISTORY), to: today, tz: this.zone.peek(), group_by: 'day,model' }), { signal });
  });
  readonly hours = new Resource<Usage>((signal) => {
    const today = this.today();
    return this.api.json('/api/v1/usage' + query({ from: addDays(today, -1), to: today, tz: this.zone.peek(), group_by: 'hour,model' }), { signal });
  });
  readonly feed = new Resource<Call[]>(async (signal) =>
    (await this.api.json<Calls>('/api/v1/usage/calls' + query({ limit: FEED, tz: this.zone.peek() }), { signal })).calls);

  /** The account's time zone, or the device's where it has none. */
  readonly zone: ReadonlySignal<string> = computed(() => this.settings.now.value.value?.time_zone ?? deviceZone());
  readonly connected = signal(false);
  readonly online = signal(true);
  /** The session cannot be renewed: the app must be opened again. */
  readonly ended = signal(false);
  readonly toasts: Signal<Toast[]> = signal([]);
  /** Ids of calls that came while the app was open. */
  readonly fresh: Signal<ReadonlySet<number>> = signal(new Set());
  /** Counts changes of what was spent, for screens that show a part of it. */
  readonly spending = signal(0);
  readonly payments = signal(0);

  private settling: ReturnType<typeof setTimeout> | undefined;
  private toastID = 0;

  constructor(
    readonly api: API,
    readonly native: Native,
    readonly now: () => Date,
  ) {}

  today(): string {
    return dayOf(this.now(), this.zone.peek());
  }

  /** Loads what is shown anew, as after missed events. */
  refresh(): void {
    for (const each of [this.balance, this.days, this.hours, this.feed, this.keys, this.settings] as Resource<unknown>[]) {
      const { value, error, loading } = each.now.peek();
      if (!loading && (value !== undefined || error !== undefined)) void each.refresh();
    }
    batch(() => {
      this.spending.value++;
      this.payments.value++;
    });
  }

  /** Takes in what the live socket tells. */
  hear(events: LiveEvent[]): void {
    let spent = false;
    for (const event of events) {
      if (event.type === 'balance') this.putBalance(event.data);
      if (event.type === 'key' && this.keys.now.peek().value) void this.keys.refresh();
      if (event.type === 'settings') void this.settings.refresh();
      if (event.type === 'payment') {
        this.payments.value++;
        void this.balance.refresh();
      }
      spent ||= event.type === 'usage';
    }
    if (spent) this.settle();
  }

  toast(text: string, kind: Toast['kind'] = 'ok'): void {
    const toast = { id: ++this.toastID, text, kind };
    this.toasts.value = [...this.toasts.value.slice(-1), toast];
    setTimeout(() => {
      this.toasts.value = this.toasts.value.filter((each) => each.id !== toast.id);
    }, 3200);
  }

  private putBalance(data: Record<string, unknown>): void {
    const before = this.balance.now.peek().value;
    if (!before || typeof data['available_nano_usd'] !== 'number') {
      void this.balance.refresh();
      return;
    }
    this.balance.put({
      ...before,
      available_nano_usd: data['available_nano_usd'],
      held_nano_usd: Number(data['held_nano_usd'] ?? before.held_nano_usd),
      available_usd: String(data['available_usd'] ?? before.available_usd),
    });
  }

  private settle(): void {
    this.settling ??= setTimeout(() => {
      this.settling = undefined;
      void this.reread();
    }, SETTLED);
  }

  private async reread(): Promise<void> {
    const before = new Set(this.feed.now.peek().value?.map((call) => call.id));
    const shown = [this.days, this.hours].filter((each) => each.now.peek().value !== undefined);
    await Promise.all([this.feed.refresh(), ...shown.map((each) => each.refresh())]);
    batch(() => {
      const calls = this.feed.now.peek().value ?? [];
      if (before.size > 0) this.fresh.value = new Set(calls.filter((call) => !before.has(call.id)).map((call) => call.id));
      this.spending.value++;
    });
  }

  /** Reads every page of keys; an account has at most a few hundred. */
  private async allKeys(signal: AbortSignal): Promise<Key[]> {
    const keys: Key[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page: Keys = await this.api.json('/api/v1/keys' + query({ cursor }), { signal });
      keys.push(...page.keys);
      cursor = page.next_cursor;
    }
    return keys;
  }
}

export const AppContext = createContext<App>(undefined as unknown as App);
export const useApp = (): App => useContext(AppContext);
