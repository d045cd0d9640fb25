// A session: Telegram's signed data exchanged for a token that lives minutes and is kept in
// memory only.

import { OpenAgain, refusal, Unreachable } from './errors';

export interface Session {
  token: string;
  /** Milliseconds since 1970, by this device's clock. */
  endsAt: number;
  accountID: number;
  language: string;
  startParam: string;
}

/** What the server answers. */
interface Granted {
  token: string;
  expires_at: string;
  account_id: number;
  language?: string;
  start_param?: string;
}


const EARLY = 60_000; // renewed so long before the end
const LIFE = 15 * 60_000;

export class Sessions {
  private current: Session | undefined;
  private asking: Promise<Session> | undefined;

  constructor(
    private readonly initData: string,
    private readonly ask: typeof fetch,
    private readonly now: () => number,
  ) {}

  /** The session, renewed before it ends; several that ask at once wait for one answer.
      [OpenAgain], [Refused], [Unreachable]. */
  async get(): Promise<Session> {
    if (this.current && this.now() < this.current.endsAt - EARLY) return this.current;
    this.asking ??= this.begin().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  /** Forgets a token that was refused. */
  drop(token: string): void {
    if (this.current?.token === token) this.current = undefined;
  }

  private async begin(): Promise<Session> {
    let answer: Response;
    try {
      answer = await this.ask('/api/v1/session', {
        method: 'POST',
        headers: { Authorization: `tma ${this.initData}` },
        credentials: 'omit',
        cache: 'no-store',
      });
    } catch (error) {
      throw new Unreachable('no connection', { cause: error });
    }
    if (answer.status === 401) throw new OpenAgain('the session is refused');
    if (!answer.ok) throw await refusal(answer);
    const granted = (await answer.json()) as Granted;
    // The device's clock may be an hour off: the life is what counts. What is left of it
    // by the server's own Date is used where that is told.
    const server = Date.parse(answer.headers.get('Date') ?? '');
    const life = Number.isNaN(server) ? LIFE : Math.min(LIFE, Date.parse(granted.expires_at) - server);
    this.current = {
      token: granted.token,
      endsAt: this.now() + life,
      accountID: granted.account_id,
      language: granted.language ?? '',
      startParam: granted.start_param ?? '',
    };
    return this.current;
  }
}
