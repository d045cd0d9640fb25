-- Posts a batch of events of one shard with all their effects. What the ledger has
-- already under the same reference, or comes a second time in the batch, is left out
-- everywhere and reported by its ordinal.
--
-- The caller holds the locks of the accounts, taken in the order of their ids, so
-- nothing here waits for another but for the rollups, which only this shard writes.
with event as materialized (
    select e.*,
        -- Redis' clock dates an event, whatever it says: what a date cannot be is the latest one.
        to_timestamp(least(e.ms, 253402300799000) / 1000.0) as created_at,
        e.first and (select t.id from ledger_transactions t where t.reference = e.reference) is null as fresh
    from unnest(
        $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[],
        $12::bigint[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::bigint[], $18::bigint[],
        $19::bigint[], $20::bigint[], $21::bigint[], $22::boolean[], $23::integer[], $24::integer[], $25::boolean[],
        $26::bigint[], $27::integer[]
    ) with ordinality as e (
        ms, seq, epoch, kind, reference, book, hold_id, account_id, key_id,
        captured, write_off, model, deployment, source, prompt, cached,
        cache_write, completion, reasoning, estimated, duration, first_token, first,
        organisation, organisation_day, ordinal
    )
), account as materialized (
    select id, ledger_seq, ledger_hash, coalesce(low_balance_nano, $2::bigint) as low
    from accounts where id in (select account_id from event where fresh)
), numbered as (
    -- customer gives what was captured, write_off what was not, the event's book takes both
    select nextval('ledger_transactions_id_seq') as id, e.*, a.ledger_hash as head, a.low,
        a.ledger_seq + row_number() over (partition by e.account_id order by e.ordinal) as account_seq,
        case when captured = 0 and write_off = 0 then array[]::text[]
            when write_off = 0 then array['customer', book]
            when captured = 0 then array[book, 'write_off']
            else array['customer', book, 'write_off'] end as books,
        case when captured = 0 and write_off = 0 then array[]::bigint[]
            when write_off = 0 then array[-captured, captured]
            when captured = 0 then array[write_off, -write_off]
            else array[-captured, captured + write_off, -write_off] end as amounts
    from event e join account a on a.id = e.account_id
    where e.fresh
), linked as materialized (
    select n.*,
        ledger_chain(head, ledger_bytes(id, account_id, account_seq, kind, reference, $1::smallint, epoch, ms, seq,
            null, created_at, books, amounts)) over so_far as hash,
        ordinal = max(ordinal) over whole as last,
        sum(captured) over whole as spent
    from numbered n
    window so_far as (partition by account_id order by ordinal rows unbounded preceding),
        whole as (partition by account_id)
), posted as (
    insert into ledger_transactions (id, kind, account_id, account_seq, reference, shard, epoch, stream_ms, stream_seq, hash, created_at)
    select id, kind, account_id, account_seq, reference, $1::smallint, epoch, ms, seq, hash, created_at
    from linked
), entered as (
    insert into ledger_entries (transaction_id, position, account_id, book, amount_nano, created_at)
    select l.id, v.position, l.account_id, v.book, v.amount, l.created_at
    from linked l cross join lateral unnest(l.books, l.amounts) with ordinality v (book, amount, position)
), used as (
    insert into usage (transaction_id, hold_id, account_id, key_id, model, deployment, source,
        prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens,
        cost_nano, captured_nano, write_off_nano, estimated, duration_ms, first_token_ms,
        organisation_id, organisation_day, created_at)
    select id, hold_id, account_id, key_id, model, deployment, source,
        prompt, cached, cache_write, completion, reasoning,
        captured + write_off, captured, write_off, estimated, duration, first_token,
        nullif(organisation, 0), case when organisation <> 0 then organisation_day end, created_at
    from linked where kind = 'settle'
), rolled as (
    insert into usage_hourly as h (account_id, key_id, model, hour, calls, estimated_calls,
        prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens,
        cost_nano, captured_nano, write_off_nano)
    select account_id, key_id, model, to_timestamp(least(ms, 253402300799000) / 3600000 * 3600) as hour,
        count(*), count(*) filter (where estimated),
        sum(prompt)::bigint, sum(cached)::bigint, sum(cache_write)::bigint, sum(completion)::bigint, sum(reasoning)::bigint,
        sum(captured + write_off)::bigint, sum(captured)::bigint, sum(write_off)::bigint
    from linked where kind = 'settle'
    group by account_id, hour, key_id, model order by account_id, hour, key_id, model
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
), shared as (
    insert into organisation_days as d (organisation_id, day, shard, captured_nano)
    select organisation, organisation_day, $1::smallint, sum(captured)::bigint
    from linked where kind = 'settle' and organisation <> 0
    group by organisation, organisation_day order by organisation, organisation_day
    on conflict (organisation_id, day, shard) do update set captured_nano = d.captured_nano + excluded.captured_nano
), balanced as (
    update accounts a set balance_nano = a.balance_nano - l.spent, ledger_seq = l.account_seq, ledger_hash = l.hash
    from linked l
    where l.last and a.id = l.account_id
    returning a.id, a.ledger_seq, a.balance_nano, a.balance_nano + l.spent as before, l.low
), warned as (
    -- Once for each time that the balance falls through the threshold.
    insert into notices (account_id, kind, unique_key, details)
    select id, 'low_balance', 'low_balance:' || id || ':' || ledger_seq,
        jsonb_build_object('balance_nano', balance_nano, 'threshold_nano', low)
    from balanced where before >= low and low > balance_nano and low > 0 order by id
)
select
    (select count(distinct account_id) from event where fresh),
    (select count(*) from balanced),
    (select coalesce(array_agg(ordinal::integer order by ordinal), '{}') from event where not fresh)
