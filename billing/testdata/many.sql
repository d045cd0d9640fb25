-- Rows of every table, for the plans of TestQueries. Nothing here is a book that holds.
set local session_replication_role = replica;

insert into accounts (telegram_id, name, balance_nano, credit_seq, ledger_seq, projected_at, confirmed, known, budget_month_nano)
select n, 'name ' || n, 1000000, 1, 50, now() - interval '1 day', n % 1000 <> 5, true, case when n % 50 = 5 then 1000000 end
from generate_series(1, 20000) n;

insert into api_keys (account_id, name, locator, mac, pepper_version, hint, projected_at, confirmed, revoked_at, budget_month_nano)
select n, 'key', md5('l' || n), md5('m' || n), 'v', 'kk_', now() - interval '1 day', n % 1000 <> 5,
    case when n % 3 = 0 then now() end, case when n % 50 = 5 then 1000000 end
from generate_series(1, 20000) n;

insert into ledger_transactions (kind, account_id, account_seq, reference, shard, epoch, stream_ms, stream_seq, hash, created_at)
select case when n <= 20000 then 'credit' else 'settle' end, 1 + n % 2000, 1 + n / 2000, 'hold:' || n, 1, 1, n, 0, sha256('x'),
    -- From the month before to those ahead and beyond: no partition is empty.
    date_trunc('month', now(), 'UTC') - interval '20 days' + interval '160 days' * (n / 100000.0)
from generate_series(1, 100000) n;

insert into ledger_entries
select t.id, position, t.account_id, case position when 1 then 'customer' else 'revenue' end, case position when 1 then -5 else 5 end, t.created_at
from ledger_transactions t, generate_series(1, 2) position;

insert into credits (account_id, seq, amount_nano, kind, idempotency_key, request_hash, transaction_id, projected_at, confirmed)
select account_id, id, 5, 'stars', 'key:' || id, sha256('x'), id, now() - interval '1 day', id % 1000 <> 5
from ledger_transactions where kind = 'credit';

insert into usage (transaction_id, hold_id, account_id, key_id, model, deployment, source, prompt_tokens, cached_tokens, cache_write_tokens,
    completion_tokens, reasoning_tokens, cost_nano, captured_nano, write_off_nano, estimated, duration_ms, first_token_ms, created_at)
select id, 'h', account_id, 1, 'small', 'home', 'api', 1, 0, 0, 1, 0, 5, 5, 0, false, 1, 1, created_at
from ledger_transactions where kind = 'settle';

insert into usage_hourly
select account_id, n % 3, 'small', date_trunc('hour', now() - interval '12 hours' * n, 'UTC'), 1, 0, 1, 0, 0, 1, 0, 5, 5, 0
from generate_series(1, 20) n, generate_series(1, 2000) account_id;

insert into usage_quarters
select account_id, n % 3, 'small', date_trunc('hour', now() - interval '12 hours' * (n / 4), 'UTC') + interval '15 minutes' * (n % 4), 1, 0, 1, 0, 0, 1, 0, 5, 5, 0
from generate_series(1, 80) n, generate_series(1, 2000) account_id;

insert into audit_log (actor, action, account_id, details, created_at)
select 'operator:ada', 'account.credited', 1 + n % 5000, jsonb_build_object('idempotency_key', 'k-' || n, 'amount_nano_usd', n), now() - interval '1 minute' * n
from generate_series(1, 30000) n;

insert into notices (account_id, kind, unique_key, created_at, due_at, sent_at)
select 1 + n % 2000, 'topped_up', 'n-' || n, now() - interval '1 minute' * n, now() - interval '1 minute' * n, case when n % 1000 <> 5 then now() end
from generate_series(1, 20000) n;

insert into debits (reference, account_id, kind, amount_nano, book, created_at, posted_at)
select 'refund:' || n, 1 + n % 2000, 'refund', 5, 'stars', now() - interval '1 minute' * n, case when n % 1000 <> 5 then now() end
from generate_series(1, 20000) n;

insert into payments (charge_id, provider, account_id, amount, currency, credit_nano, transaction_id, paid_at, refund_asked_at, refunded_at)
select 'charge-' || n, 'card', 1 + n % 2000, 5, 'USD', 5, n, now() - interval '1 minute' * n,
    case when n % 100 = 5 then now() - interval '1 hour' end, case when n % 1000 = 5 then now() end
from generate_series(1, 20000) n;

insert into organisations (name, budget_month_nano)
select 'organisation ' || n, 1000000 from generate_series(1, 20000) n;

insert into organisation_days (organisation_id, day, shard, captured_nano)
select organisation_id, extract(epoch from now())::bigint / 86400 - n, n % 16, 5
from generate_series(0, 39) n, generate_series(1, 2000) organisation_id;

insert into gifts (account_id, name, amount_nano, created_at, expires_at, settled_at, credited_to, transaction_id)
select 1 + n % 2000, 'g-' || n, 5, now() - interval '1 minute' * n, now() + interval '7 days' - interval '1 minute' * n,
    case when n % 100 <> 5 then now() end, case when n % 100 <> 5 then 1 + n % 1999 end, case when n % 100 <> 5 then n end
from generate_series(1, 20000) n;

insert into departed (person)
select sha256(convert_to(n::text, 'UTF8')) from generate_series(1, 20000) n;

-- Calls of the month before, which the transactions above have none of.
insert into usage (transaction_id, hold_id, account_id, key_id, model, deployment, source, prompt_tokens, cached_tokens, cache_write_tokens,
    completion_tokens, reasoning_tokens, cost_nano, captured_nano, write_off_nano, estimated, duration_ms, first_token_ms, created_at)
select 1000000 + n, 'h', 1 + n % 2000, 1, 'small', 'home', 'api', 1, 0, 0, 1, 0, 5, 5, 0, false, 1, 1, date_trunc('month', now(), 'UTC') - interval '1 minute' * n
from generate_series(1, 20000) n;

insert into settings (account_id)
select n from generate_series(1, 20000) n;
