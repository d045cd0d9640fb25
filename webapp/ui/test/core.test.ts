import { describe, expect, test, vi } from 'vitest';
import { OpenAgain, Refused, Unreachable } from '../src/core/errors';
import { events } from '../src/core/events';
import { Live, type LiveEvent } from '../src/core/live';
import { PagedList } from '../src/core/pages';
import { API, query } from '../src/core/request';
import { Resource } from '../src/core/resource';
import { readPlace, writePlace } from '../src/core/router';
import { Sessions } from '../src/core/session';
import { blocks, spans } from '../src/parts/answer';

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

describe('sessions', () => {
  const server = Date.parse('2026-11-22T12:00:00Z');
  const granted = (token: string) => json(
    { token, expires_at: '2026-11-22T12:15:00Z', account_id: 7 }, 200, { Date: new Date(server).toUTCString() },
  );

  test('several that ask at once wait for one answer', async () => {
    const ask = vi.fn(async () => granted('kks_1'));
    const sessions = new Sessions('data', ask, () => 0);
    const [a, b] = await Promise.all([sessions.get(), sessions.get()]);
    expect(a.token).toBe('kks_1');
    expect(b).toBe(a);
    expect(ask).toHaveBeenCalledOnce();
    expect(ask).toHaveBeenCalledWith('/api/v1/session', expect.objectContaining({ headers: { Authorization: 'tma data' }, credentials: 'omit' }));
  });

  test.each([-3_600_000, 3_600_000])('it is renewed a minute early, by a clock that is %d ms off', async (off) => {
    let now = server + off;
    let n = 0;
    const sessions = new Sessions('data', async () => granted(`kks_${++n}`), () => now);
    expect((await sessions.get()).token).toBe('kks_1');
    now += 13 * 60_000;
    expect((await sessions.get()).token).toBe('kks_1');
    now += 61_000;
    expect((await sessions.get()).token).toBe('kks_2');
  });

  test('old data ends it, a refusal is told, a broken line may be tried again', async () => {
    await expect(new Sessions('x', async () => json({}, 401), () => 0).get()).rejects.toThrow(OpenAgain);
    await expect(new Sessions('x', async () => json({ error: { code: 'account_closed', message: 'm' } }, 403), () => 0).get()).rejects.toMatchObject({ status: 403, code: 'account_closed' });
    const ask = vi.fn<typeof fetch>().mockRejectedValueOnce(new TypeError('net')).mockResolvedValueOnce(granted('kks_9'));
    const sessions = new Sessions('x', ask, () => 0);
    await expect(sessions.get()).rejects.toThrow(Unreachable);
    expect((await sessions.get()).token).toBe('kks_9');
  });
});

describe('calls of the API', () => {
  function api(...answers: Response[]) {
    const seen: [string, RequestInit][] = [];
    let n = 0;
    const ask = (async (path: string, init: RequestInit) => {
      if (path === '/api/v1/session') return json({ token: `kks_${++n}`, expires_at: '2100-01-01T00:00:00Z', account_id: 1 });
      seen.push([path, init]);
      return answers.shift() ?? json({});
    }) as typeof fetch;
    const onEnd = vi.fn();
    return { api: new API(new Sessions('x', ask, () => 0), ask, onEnd), seen, onEnd };
  }

  test('a token that is refused is renewed once', async () => {
    const { api: a, seen, onEnd } = api(json({}, 401), json({ ok: 1 }));
    expect(await a.json('/api/v1/balance')).toEqual({ ok: 1 });
    expect(seen.map(([, init]) => (init.headers as Record<string, string>)['Authorization'])).toEqual(['Bearer kks_1', 'Bearer kks_2']);
    expect(onEnd).not.toHaveBeenCalled();
  });

  test('refused twice, the app has ended', async () => {
    const { api: a, onEnd } = api(json({}, 401), json({}, 401));
    await expect(a.json('/api/v1/balance')).rejects.toThrow(OpenAgain);
    expect(onEnd).toHaveBeenCalledOnce();
  });

  test('errors keep their code, and how long to wait', async () => {
    const { api: a } = api(json({ error: { code: 'rate_limited', message: 'slow down' } }, 429, { 'Retry-After': '7' }));
    await expect(a.json('/api/v1/usage')).rejects.toMatchObject({ status: 429, code: 'rate_limited', retryAfter: 7 });
    const { api: b } = api(new Response('<html>', { status: 502 }));
    await expect(b.json('/api/v1/usage')).rejects.toThrow(Refused);
  });

  test('a wish has its body and its name', async () => {
    const { api: a, seen } = api();
    await a.json('/api/v1/keys', { method: 'POST', body: { name: 'x' }, idempotencyKey: 'k' });
    expect(seen[0]![1]).toMatchObject({ method: 'POST', body: '{"name":"x"}', credentials: 'omit', headers: { 'Idempotency-Key': 'k', 'Content-Type': 'application/json' } });
  });

  test('a query holds what is set', () => {
    expect(query({ a: 1, b: undefined, c: '', d: 'x y', e: false })).toBe('?a=1&d=x+y&e=false');
    expect(query({})).toBe('');
  });
});

describe('live', () => {
  class Socket {
    static all: Socket[] = [];
    readyState = 1;
    sent: unknown[] = [];
    onopen?: () => void;
    onmessage?: (event: { data: string }) => void;
    onclose?: (event: { code: number }) => void;
    constructor() {
      Socket.all.push(this);
    }
    send(text: string) {
      this.sent.push(JSON.parse(text));
    }
    close() {}
    drop(code = 1006) {
      this.readyState = 3;
      this.onclose?.({ code });
    }
  }
  const event = (id: string): LiveEvent => ({ id, type: 'balance', at: '', data: {} });

  function live(get: () => Promise<{ token: string }> = async () => ({ token: 'kks_1' })) {
    Socket.all = [];
    const waits: { ms: number; call: () => void }[] = [];
    const options = {
      sessions: { get: get as never, drop: vi.fn() }, open: () => new Socket() as unknown as WebSocket,
      onEvents: vi.fn(), onGap: vi.fn(), onState: vi.fn(), onEnd: vi.fn(),
      after: (ms: number, call: () => void) => {
        waits.push({ ms, call });
        return () => undefined;
      },
      random: () => 1,
    };
    return { live: new Live(options), options, waits };
  }
  const tick = () => new Promise((resolve) => setImmediate(resolve));

  test('a dropped socket resumes after the last event; events may share an id', async () => {
    const { live: l, options, waits } = live();
    l.start();
    await tick();
    const first = Socket.all[0]!;
    first.onopen!();
    expect(first.sent).toEqual([{ type: 'auth', token: 'kks_1', after: null }]);
    first.onmessage!({ data: JSON.stringify({ type: 'events', events: [event('1'), event('2'), event('2')] }) });
    first.drop();
    expect(waits[0]!.ms).toBe(500);
    waits[0]!.call();
    await tick();
    const second = Socket.all[1]!;
    second.onopen!();
    expect(second.sent).toEqual([{ type: 'auth', token: 'kks_1', after: '2' }]);
    second.onmessage!({ data: JSON.stringify({ type: 'events', events: [event('3')], resume: 'full' }) });
    expect(options.onEvents.mock.calls.flatMap(([events]) => (events as LiveEvent[]).map(({ id }) => id))).toEqual(['1', '2', '2', '3']);
    expect(options.onGap).not.toHaveBeenCalled();
  });

  test('a gap is told; a refused session is dropped', async () => {
    const { live: l, options } = live();
    l.start();
    await tick();
    Socket.all[0]!.onmessage!({ data: JSON.stringify({ type: 'events', events: [], resume: 'gap' }) });
    expect(options.onGap).toHaveBeenCalledOnce();
    Socket.all[0]!.drop(4401);
    expect(options.sessions.drop).toHaveBeenCalledWith('kks_1');
  });

  test('waits grow to a bound; without a session there is no more trying', async () => {
    const { live: l, waits } = live(async () => {
      throw new Unreachable('x');
    });
    l.start();
    await tick();
    for (let i = 0; i < 9; i++) {
      waits.at(-1)!.call();
      await tick();
    }
    expect(waits.slice(0, 4).map(({ ms }) => ms)).toEqual([500, 1000, 2000, 4000]);
    expect(waits.at(-1)!.ms).toBe(30_000);

    const ended = live(async () => {
      throw new OpenAgain('old');
    });
    ended.live.start();
    await tick();
    expect(ended.options.onEnd).toHaveBeenCalledOnce();
    expect(ended.waits).toEqual([]);
  });
});

describe('loading', () => {
  test('an older answer that comes later is passed over', async () => {
    const answers: ((value: number) => void)[] = [];
    const resource = new Resource<number>(() => new Promise((resolve) => answers.push(resolve)));
    const [first, second] = [resource.refresh(), resource.refresh()];
    answers[1]!(2);
    await second;
    answers[0]!(1);
    await first;
    expect(resource.now.value).toEqual({ value: 2, loading: false });
  });

  test('what was there stays when loading it anew fails', async () => {
    const load = vi.fn<() => Promise<number>>().mockResolvedValueOnce(1).mockRejectedValueOnce(new Error('x'));
    const resource = new Resource<number>(load);
    await resource.refresh();
    await resource.refresh();
    expect(resource.now.value).toMatchObject({ value: 1, error: new Error('x'), loading: false });
  });

  test('pages follow one another', async () => {
    const list = new PagedList<number>(async (cursor) => (cursor === undefined ? { items: [1], next: 'b' } : { items: [2], next: null }));
    await list.restart();
    await list.more();
    await list.more();
    expect(list.now.value).toMatchObject({ items: [1, 2], next: null, loading: false });
  });
});

describe('places', () => {
  test('a place is what its address says', () => {
    const place = { screen: 'activity' as const, params: { model: 'gpt-4o', from: '2026-11-01', key: '' } };
    expect(writePlace(place)).toBe('?at=activity&model=gpt-4o&from=2026-11-01');
    expect(readPlace(writePlace(place))).toEqual({ screen: 'activity', params: { model: 'gpt-4o', from: '2026-11-01' } });
    expect(readPlace('?at=nowhere').screen).toBe('home');
    expect(writePlace({ screen: 'home', params: {} })).toBe('');
  });
});

describe('answers that stream', () => {
  async function read(...pieces: string[]): Promise<string[]> {
    const bytes = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(bytes.encode(piece));
        controller.close();
      },
    });
    const got: string[] = [];
    for await (const data of events(body)) got.push(data);
    return got;
  }

  test('events are whole, however they were cut', async () => {
    expect(await read('data: {"a"', ':1}\r\n\r', '\n: ping\n\ndata: é', '\ndata: b\n\n')).toEqual(['{"a":1}', 'é\nb']);
    expect(await read('data: last')).toEqual(['last']);
    expect(await read('', '\n\n')).toEqual([]);
  });

  test('code is told from words, also while it is not whole', () => {
    expect(blocks('a\n\n```py\nx = 1\n```\n\nb')).toEqual([{ code: false, text: 'a' }, { code: true, text: 'x = 1' }, { code: false, text: 'b' }]);
    expect(blocks('```\nx')).toEqual([{ code: true, text: 'x' }]);
    expect(blocks('')).toEqual([]);
    expect(spans('a `b` **c** 2**3')).toEqual([
      { kind: 'text', text: 'a ' }, { kind: 'code', text: 'b' }, { kind: 'text', text: ' ' }, { kind: 'bold', text: 'c' }, { kind: 'text', text: ' 2**3' },
    ]);
  });
});
