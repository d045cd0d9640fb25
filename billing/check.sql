-- Holds the books against themselves: one row for each rule that something breaks.
-- $1 bounds the rows.
with moved as materialized (
    select transaction_id, sum(amount_nano) as nano,
        coalesce(sum(amount_nano) filter (where book = 'customer'), 0) as customer,
        coalesce(sum(amount_nano) filter (where book = 'write_off'), 0) as write_off,
        coalesce(sum(amount_nano) filter (where book = 'gifts'), 0) as gifts,
        min(account_id) as account_from, max(account_id) as account_to,
        min(created_at) as created_from, max(created_at) as created_to
    from ledger_entries group by transaction_id
), earned as (
    select account_id, sum(amount_nano) as nano from ledger_entries where book = 'customer' group by account_id
), given as (
    select account_id, count(*) as credits from credits group by account_id
), quarters as (
    select account_id, key_id, model, date_bin('15 minutes', created_at, timestamptz 'epoch') as quarter,
        count(*) as calls, count(*) filter (where estimated) as estimated_calls,
        sum(prompt_tokens) as prompt_tokens, sum(cached_tokens) as cached_tokens,
        sum(cached_input_audio_tokens) as cached_input_audio_tokens, sum(cache_write_tokens) as cache_write_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens, sum(input_audio_tokens) as input_audio_tokens,
        sum(input_image_tokens) as input_image_tokens, sum(completion_tokens) as completion_tokens,
        sum(reasoning_tokens) as reasoning_tokens, sum(output_audio_tokens) as output_audio_tokens,
        sum(output_image_tokens) as output_image_tokens, sum(images) as images, sum(audio_ms) as audio_ms,
        sum(characters) as characters, sum(cost_nano) as cost_nano, sum(captured_nano) as captured_nano,
        sum(write_off_nano) as write_off_nano
    from usage group by 1, 2, 3, 4
), hours as (
    select account_id, key_id, model, date_trunc('hour', quarter, 'UTC') as hour,
        sum(calls) as calls, sum(estimated_calls) as estimated_calls, sum(prompt_tokens) as prompt_tokens,
        sum(cached_tokens) as cached_tokens, sum(cached_input_audio_tokens) as cached_input_audio_tokens,
        sum(cache_write_tokens) as cache_write_tokens, sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(input_audio_tokens) as input_audio_tokens, sum(input_image_tokens) as input_image_tokens,
        sum(completion_tokens) as completion_tokens, sum(reasoning_tokens) as reasoning_tokens,
        sum(output_audio_tokens) as output_audio_tokens, sum(output_image_tokens) as output_image_tokens,
        sum(images) as images, sum(audio_ms) as audio_ms, sum(characters) as characters, sum(cost_nano) as cost_nano,
        sum(captured_nano) as captured_nano, sum(write_off_nano) as write_off_nano
    from quarters group by 1, 2, 3, 4
), shared as (
    select organisation_id, organisation_day as day, (account_id & 15)::smallint as shard, sum(captured_nano) as nano
    from usage where organisation_id is not null group by 1, 2, 3
)
select rule, account_id, transaction_id, subject, stated::bigint, summed::bigint from (
    select 'balance' as rule, coalesce(a.id, e.account_id) as account_id, 0 as transaction_id, '' as subject,
        coalesce(a.balance_nano, 0) as stated, coalesce(e.nano, 0) as summed
    from accounts a full join earned e on e.account_id = a.id
    where coalesce(a.balance_nano, 0) <> coalesce(e.nano, 0)
    union all
    select 'zero-sum', account_from, transaction_id, '', 0, nano from moved where nano <> 0
    union all
    select 'entries', coalesce(t.account_id, m.account_from), m.transaction_id,
        case when t.id is null then 'of no transaction' else 'of another account or time than their transaction' end, 0, m.customer
    from moved m left join ledger_transactions t on t.id = m.transaction_id
    where t.id is null or t.account_id <> m.account_from or t.account_id <> m.account_to
        or t.created_at <> m.created_from or t.created_at <> m.created_to
    union all
    select 'usage', coalesce(t.account_id, u.account_id), coalesce(t.id, u.transaction_id),
        case when t.id is null then 'of no settled call' when u.transaction_id is null then 'missing' else 'another account, time or cost' end,
        coalesce(u.captured_nano, 0), coalesce(-m.customer, 0)
    from (select * from ledger_transactions where kind = 'settle') t
    full join usage u on u.transaction_id = t.id
    left join moved m on m.transaction_id = coalesce(t.id, u.transaction_id)
    where t.id is null or u.transaction_id is null or u.account_id <> t.account_id or u.created_at <> t.created_at
        or u.captured_nano <> coalesce(-m.customer, 0) or u.write_off_nano <> coalesce(-m.write_off, 0)
    union all
    select 'usage_hourly', coalesce(h.account_id, u.account_id), 0,
        to_char(coalesce(h.hour, u.hour) at time zone 'UTC', 'YYYY-MM-DD HH24"h"')
            || ' key ' || coalesce(h.key_id, u.key_id) || ' ' || coalesce(h.model, u.model),
        coalesce(h.cost_nano, 0), coalesce(u.cost_nano, 0)
    from usage_hourly h full join hours u
        on u.account_id = h.account_id and u.key_id = h.key_id and u.model = h.model and u.hour = h.hour
    where (h.calls, h.estimated_calls, h.prompt_tokens, h.cached_tokens, h.cached_input_audio_tokens,
            h.cache_write_tokens, h.cache_write_1h_tokens, h.input_audio_tokens, h.input_image_tokens,
            h.completion_tokens, h.reasoning_tokens, h.output_audio_tokens, h.output_image_tokens, h.images,
            h.audio_ms, h.characters, h.cost_nano, h.captured_nano, h.write_off_nano)
        is distinct from (u.calls, u.estimated_calls, u.prompt_tokens, u.cached_tokens, u.cached_input_audio_tokens,
            u.cache_write_tokens, u.cache_write_1h_tokens, u.input_audio_tokens, u.input_image_tokens,
            u.completion_tokens, u.reasoning_tokens, u.output_audio_tokens, u.output_image_tokens, u.images,
            u.audio_ms, u.characters, u.cost_nano, u.captured_nano, u.write_off_nano)
    union all
    select 'usage_quarters', coalesce(h.account_id, u.account_id), 0,
        to_char(coalesce(h.quarter, u.quarter) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
            || ' key ' || coalesce(h.key_id, u.key_id) || ' ' || coalesce(h.model, u.model),
        coalesce(h.cost_nano, 0), coalesce(u.cost_nano, 0)
    from usage_quarters h full join quarters u
        on u.account_id = h.account_id and u.key_id = h.key_id and u.model = h.model and u.quarter = h.quarter
    where (h.calls, h.estimated_calls, h.prompt_tokens, h.cached_tokens, h.cached_input_audio_tokens,
            h.cache_write_tokens, h.cache_write_1h_tokens, h.input_audio_tokens, h.input_image_tokens,
            h.completion_tokens, h.reasoning_tokens, h.output_audio_tokens, h.output_image_tokens, h.images,
            h.audio_ms, h.characters, h.cost_nano, h.captured_nano, h.write_off_nano)
        is distinct from (u.calls, u.estimated_calls, u.prompt_tokens, u.cached_tokens, u.cached_input_audio_tokens,
            u.cache_write_tokens, u.cache_write_1h_tokens, u.input_audio_tokens, u.input_image_tokens,
            u.completion_tokens, u.reasoning_tokens, u.output_audio_tokens, u.output_image_tokens, u.images,
            u.audio_ms, u.characters, u.cost_nano, u.captured_nano, u.write_off_nano)
    union all
    select 'organisation_days', 0, 0, 'organisation ' || coalesce(d.organisation_id, s.organisation_id)
        || ', ' || date '1970-01-01' + coalesce(d.day, s.day) || ', shard ' || coalesce(d.shard, s.shard),
        coalesce(d.captured_nano, 0), coalesce(s.nano, 0)
    from organisation_days d full join shared s
        on s.organisation_id = d.organisation_id and s.day = d.day and s.shard = d.shard
    where coalesce(d.captured_nano, 0) <> coalesce(s.nano, 0)
    union all
    select 'credits', coalesce(c.account_id, t.account_id), coalesce(c.transaction_id, t.id),
        case when t.id is null then 'of no transaction' when c.id is null then 'missing' else 'another account or amount' end,
        coalesce(c.amount_nano, 0), coalesce(m.customer, 0)
    from credits c full join (select * from ledger_transactions where kind = 'credit') t on t.id = c.transaction_id
    left join moved m on m.transaction_id = coalesce(t.id, c.transaction_id)
    where t.id is null or c.id is null or c.account_id <> t.account_id or c.amount_nano <> coalesce(m.customer, 0)
    union all
    select 'credits', a.id, 0, 'numbered ' || a.credit_seq || ', there are ' || coalesce(g.credits, 0), 0, 0
    from accounts a left join given g on g.account_id = a.id
    where a.credit_seq <> coalesce(g.credits, 0)
    union all
    select 'gifts', coalesce(g.account_id, t.account_id), coalesce(t.id, 0),
        case when g.id is null then 'taken for none' else 'gift ' || g.id end, coalesce(g.amount_nano, 0), coalesce(m.gifts, 0)
    from gifts g full join (select * from ledger_transactions where kind = 'gift') t on t.reference = 'gift:' || g.id
    left join moved m on m.transaction_id = t.id
    where g.id is null or t.id is null and g.settled_at is not null
        or t.id is not null and (t.account_id <> g.account_id or m.gifts <> g.amount_nano or m.customer <> -g.amount_nano)
    union all
    select 'gifts', coalesce(g.credited_to, c.account_id), coalesce(g.transaction_id, c.transaction_id),
        case when g.id is null then 'given for none' else 'gift ' || g.id || ' given on' end, coalesce(g.amount_nano, 0), coalesce(-m.gifts, 0)
    from (select * from gifts where settled_at is not null) g
    full join (select * from credits where kind = 'gift') c on c.idempotency_key = 'gift:' || g.id
    left join moved m on m.transaction_id = c.transaction_id
    where g.id is null or c.id is null or c.transaction_id <> g.transaction_id or c.account_id <> g.credited_to
        or c.amount_nano <> g.amount_nano or m.gifts <> -g.amount_nano
    union all
    select 'gifts', 0, 0, 'the book', o.nano, b.nano
    from (select coalesce(sum(amount_nano), 0) as nano from gifts g where settled_at is null
            and exists (select from ledger_transactions where reference = 'gift:' || g.id)) o
    cross join (select coalesce(sum(gifts), 0) as nano from moved) b
    where o.nano <> b.nano
) faults
order by account_id, transaction_id, rule limit $1
