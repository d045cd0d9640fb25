-- Posts a batch of debits of one shard: calls, with their usage, and refunds. What the ledger has already under
-- the same reference is left out everywhere and reported by its ordinal.
--
-- Rows that others may lock too (accounts, rollups) are visited in key order.
with event as materialized (
    select * from unnest(
        $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[],
        $16::bigint[], $17::bigint[], $18::bigint[], $19::boolean[], $20::integer[], $21::integer[],
        $22::text[], $23::text[]
    ) with ordinality as e (
        ms, seq, epoch, reference, hold_id, account_id, key_id,
        captured, write_off, model, deployment, source, prompt, cached,
        cache_write, completion, reasoning, estimated, duration, first_token, kind, book, ordinal
    )
), posted as (
    insert into ledger_transactions (kind, account_id, reference, shard, epoch, stream_ms, stream_seq, created_at)
    select kind, account_id, reference, $1::smallint, epoch, ms, seq, to_timestamp(ms / 1000.0)
    from event order by ordinal
    on conflict (reference) do nothing
    returning id, stream_ms, stream_seq, created_at
), fresh as materialized (
    select p.id, p.created_at, e.*
    from posted p join event e on e.ms = p.stream_ms and e.seq = p.stream_seq
), entered as (
    -- customer gives what was captured, write_off what was not, the event's book takes both
    insert into ledger_entries (transaction_id, position, account_id, book, amount_nano, created_at)
    select f.id, v.position, f.account_id, v.book, v.amount, f.created_at
    from fresh f cross join lateral (values
        (1, 'customer', -f.captured),
        (2, f.book, f.captured + f.write_off),
        (3, 'write_off', -f.write_off)
    ) v (position, book, amount)
    where v.amount <> 0
    order by f.id, v.position
), used as (
    insert into usage (transaction_id, hold_id, account_id, key_id, model, deployment, source,
        prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens,
        cost_nano, captured_nano, write_off_nano, estimated, duration_ms, first_token_ms, created_at)
    select id, hold_id, account_id, key_id, model, deployment, source,
        prompt, cached, cache_write, completion, reasoning,
        captured + write_off, captured, write_off, estimated, duration, first_token, created_at
    from fresh where kind = 'settle' order by id
), rolled as (
    insert into usage_hourly as h (account_id, key_id, model, hour, calls, estimated_calls,
        prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens,
        cost_nano, captured_nano, write_off_nano)
    select account_id, key_id, model, date_trunc('hour', created_at, 'UTC') as hour,
        count(*), count(*) filter (where estimated),
        sum(prompt)::bigint, sum(cached)::bigint, sum(cache_write)::bigint, sum(completion)::bigint, sum(reasoning)::bigint,
        sum(captured + write_off)::bigint, sum(captured)::bigint, sum(write_off)::bigint
    from fresh where kind = 'settle' group by account_id, hour, key_id, model order by account_id, hour, key_id, model
    on conflict (account_id, hour, key_id, model) do update set
        calls = h.calls + excluded.calls,
        estimated_calls = h.estimated_calls + excluded.estimated_calls,
        prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
        cached_tokens = h.cached_tokens + excluded.cached_tokens,
        cache_write_tokens = h.cache_write_tokens + excluded.cache_write_tokens,
        completion_tokens = h.completion_tokens + excluded.completion_tokens,
        reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
        cost_nano = h.cost_nano + excluded.cost_nano,
        captured_nano = h.captured_nano + excluded.captured_nano,
        write_off_nano = h.write_off_nano + excluded.write_off_nano
), spent as materialized (
    select account_id, sum(captured)::bigint as nano from fresh group by account_id
), locked as materialized (
    select id from accounts where id in (select account_id from spent) order by id for no key update
), balanced as (
    update accounts a set balance_nano = a.balance_nano - s.nano
    from spent s join locked l on l.id = s.account_id
    where a.id = s.account_id
    returning a.id
)
select
    (select count(*) from posted),
    (select count(*) from spent),
    (select count(*) from balanced),
    (select coalesce(array_agg(e.ordinal::integer order by e.ordinal), '{}')
     from event e where not exists (select from posted p where p.stream_ms = e.ms and p.stream_seq = e.seq))
