-- What kikuai_reader may read: the books, usage and states, for dashboards and questions.
-- Neither names and Telegram ids, nor hashes of keys, nor anything that somebody wrote.
-- Run by kikuai_owner after `kikuai migrate`, and again after a migration that adds a
-- table named here.
revoke all on all tables in schema public from kikuai_reader;
grant usage on schema public to kikuai_reader;
grant select on ledger_entries, usage, usage_hourly, usage_quarters, organisation_days, stream_positions to kikuai_reader;
grant select (id, kind, account_id, account_seq, shard, created_at) on ledger_transactions to kikuai_reader;
grant select (id, status, balance_nano, credit_seq, ledger_seq, tier, organisation_id) on accounts to kikuai_reader;
grant select (name, next_at, last_ok_at) on jobs to kikuai_reader;
