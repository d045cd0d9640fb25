// The playground's conversation: asked over the metered path, as an API client would.

import { signal, type ReadonlySignal } from '@preact/signals';
import type { API } from './request';
import { Refused } from './errors';
import { events } from './events';

export interface Said {
  id: number;
  by: 'user' | 'assistant';
  text: string;
  model?: string;
  /** Tokens and cost, once the provider has told them. */
  bill?: { input: number; output: number; nano: number };
  error?: unknown;
  stopped?: boolean;
}

interface Chunk {
  choices?: { delta?: { content?: string | null } }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number; cost?: number } | null;
  error?: { message?: string; code?: string; type?: string };
}

const MOST = 200; // messages kept

export class Talk {
  private readonly said = signal<Said[]>([]);
  private readonly running = signal(false);
  private stopping: AbortController | undefined;
  private lastID = 0;

  constructor(private readonly api: API) {}

  get messages(): ReadonlySignal<Said[]> {
    return this.said;
  }

  get busy(): ReadonlySignal<boolean> {
    return this.running;
  }

  /** Asks, and writes the answer as it comes. */
  async ask(model: string, text: string): Promise<void> {
    if (this.running.peek()) return;
    this.put({ id: ++this.lastID, by: 'user', text });
    await this.answer(model);
  }

  /** Asks the last question again. */
  async retry(model: string): Promise<void> {
    if (this.running.peek()) return;
    const asked = this.said.peek().findLastIndex((each) => each.by === 'user');
    if (asked < 0) return;
    this.said.value = this.said.peek().slice(0, asked + 1);
    await this.answer(model);
  }

  stop(): void {
    this.stopping?.abort();
  }

  clear(): void {
    this.stop();
    this.said.value = [];
  }

  private async answer(model: string): Promise<void> {
    const stopping = (this.stopping = new AbortController());
    const messages = this.said.peek().filter((each) => each.text !== '').map((each) => ({ role: each.by, content: each.text }));
    const id = ++this.lastID;
    this.put({ id, by: 'assistant', text: '', model });
    this.running.value = true;
    try {
      const answer = await this.api.open('/v1/chat/completions', {
        method: 'POST',
        body: { model, messages, stream: true, stream_options: { include_usage: true } },
        signal: stopping.signal,
      });
      await this.read(id, answer.body!);
    } catch (error) {
      this.change(id, stopping.signal.aborted ? { stopped: true } : { error });
    } finally {
      this.running.value = false;
    }
  }

  private async read(id: number, body: ReadableStream<Uint8Array>): Promise<void> {
    for await (const data of events(body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error) throw new Refused(502, chunk.error.code ?? chunk.error.type ?? '', chunk.error.message ?? '', 0);
      const piece = chunk.choices?.[0]?.delta?.content;
      const { usage } = chunk;
      if (piece) this.change(id, (said) => ({ text: said.text + piece }));
      if (usage) {
        this.change(id, {
          bill: { input: usage.prompt_tokens ?? 0, output: usage.completion_tokens ?? 0, nano: Math.round((usage.cost ?? 0) * 1e9) },
        });
      }
    }
  }

  private put(said: Said): void {
    this.said.value = [...this.said.peek().slice(1 - MOST), said];
  }

  private change(id: number, by: Partial<Said> | ((said: Said) => Partial<Said>)): void {
    this.said.value = this.said.peek().map((said) => (said.id === id ? { ...said, ...(typeof by === 'function' ? by(said) : by) } : said));
  }
}
