// What can go wrong when the server is asked.

/** Telegram's data is too old, or not Telegram's: the app must be opened again. */
export class OpenAgain extends Error {}

/** The server could not be reached. */
export class Unreachable extends Error {}

/** What the server refused, by its own code. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** Seconds to wait before trying again; 0 when not told. */
    readonly retryAfter: number,
  ) {
    super(message);
  }
}

/** Reads an answer that is an error, of any of the protocols. */
export async function refusal(answer: Response): Promise<Refused> {
  const told = (await answer.json().catch(() => ({}))) as { error?: { code?: string; type?: string; message?: string } };
  return new Refused(
    answer.status,
    told.error?.code ?? told.error?.type ?? 'unknown',
    told.error?.message ?? '',
    Number(answer.headers.get('Retry-After')) || 0,
  );
}
