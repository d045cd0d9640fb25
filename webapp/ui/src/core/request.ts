// Calls of the account API: the session's token, a bound on time, errors with a code.

import { OpenAgain, refusal, Unreachable } from './errors';
import type { Sessions } from './session';

export interface Call {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  body?: unknown;
  /** Makes repeating the call harmless. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

const PATIENCE = 20_000; // ms

export class API {
  constructor(
    private readonly sessions: Sessions,
    private readonly ask: typeof fetch,
    /** Called when no session can be had any more. */
    private readonly onEnd: () => void,
  ) {}

  /** Calls a path and reads JSON. [Refused], [OpenAgain], [Unreachable]. */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const patience = AbortSignal.timeout(PATIENCE);
    const answer = await this.open(path, { ...call, signal: call.signal ? AbortSignal.any([call.signal, patience]) : patience });
    if (answer.status === 204) return undefined as T;
    return (await answer.json()) as T;
  }

  /** Calls a path and gives the answer once it begins, its errors read. */
  async open(path: string, call: Call = {}): Promise<Response> {
    try {
      return await this.attempt(path, call);
    } catch (error) {
      if (error instanceof OpenAgain) this.onEnd();
      throw error;
    }
  }

  private async attempt(path: string, call: Call): Promise<Response> {
    const { token } = await this.sessions.get();
    let answer = await this.send(path, call, token);
    if (answer.status === 401) {
      this.sessions.drop(token);
      const again = await this.sessions.get();
      answer = await this.send(path, call, again.token);
      if (answer.status === 401) throw new OpenAgain('the session is refused');
    }
    if (!answer.ok) throw await refusal(answer);
    return answer;
  }

  private async send(path: string, call: Call, token: string): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
    if (call.body !== undefined) headers['Content-Type'] = 'application/json';
    if (call.idempotencyKey) headers['Idempotency-Key'] = call.idempotencyKey;
    try {
      return await this.ask(path, {
        method: call.method ?? 'GET',
        headers,
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        signal: call.signal,
        credentials: 'omit',
      });
    } catch (error) {
      if (call.signal?.aborted && call.signal.reason?.name !== 'TimeoutError') throw error;
      throw new Unreachable('no connection', { cause: error });
    }
  }
}

/** A query of the members that are set. */
export function query(values: Record<string, string | number | boolean | undefined>): string {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
  return set.length === 0 ? '' : '?' + new URLSearchParams(set.map(([name, value]) => [name, String(value)]));
}
