-- Run by every kikuai migrate, in one transaction, after the migrations: what must be
-- true of a database again and again. Instances that come together wait for each other.
select pg_advisory_xact_lock(hashtext('kikuai afterwards'));

select ledger_partitions();
select request_log_partitions();

-- kikuai_app is what the program works as (see postgres.New): it may add to the books
-- and change the projections, and nothing else. The role is the whole cluster's, which
-- several databases may share. Whoever may not make it is told by kikuai migrate.
do $$
begin
    if not exists (select from pg_roles where rolname = 'kikuai_app') then
        begin
            create role kikuai_app nologin;
        exception
            when insufficient_privilege then return;
            when duplicate_object or unique_violation then null; -- another database's migration made it meanwhile
        end;
    end if;
    if not pg_has_role(current_user, 'kikuai_app',
        case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end)
    then
        begin
            execute format('grant kikuai_app to %I', current_user);
        exception
            when insufficient_privilege then null;
        end;
    end if;

    revoke all on all tables in schema public from kikuai_app;
    revoke all on all sequences in schema public from kikuai_app;
    revoke execute on function ledger_partitions, request_log_partitions from public;

    grant usage on schema public to kikuai_app;
    grant usage on all sequences in schema public to kikuai_app;
    grant execute on function ledger_partitions, request_log_partitions to kikuai_app;
    grant select on all tables in schema public to kikuai_app;

    -- The books and the log: added to, never changed.
    grant insert on ledger_transactions, ledger_entries, usage, audit_log to kikuai_app;

    -- What is decided once and carries projections and states.
    grant insert on accounts, api_keys, credits, debits, payments, tiers, organisations to kikuai_app;
    grant update (telegram_id, status, name, language, settings, balance_nano, credit_seq, ledger_seq, ledger_hash,
        budget_day_nano, budget_month_nano, low_balance_nano, met_at, projected_at, confirmed, known,
        tier, organisation_id, limits_seq) on accounts to kikuai_app;
    grant update (name, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst,
        budget_day_nano, budget_month_nano, models, allowed_ips, expires_at, last_used_at,
        idempotency_key, request_hash, chat_id,
        revoked_at, projected_at, confirmed) on api_keys to kikuai_app;
    grant update (requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst, seq) on tiers to kikuai_app;
    grant update (status, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst,
        budget_day_nano, budget_month_nano, seq) on organisations to kikuai_app;
    grant update (projected_at, confirmed) on credits to kikuai_app;
    grant update (posted_at) on debits to kikuai_app;
    grant insert on gifts, referrals to kikuai_app;
    grant update (expires_at, settled_at, credited_to, transaction_id) on gifts to kikuai_app;
    grant update (settled_at, charge_id, referred_nano, referrer_nano) on referrals to kikuai_app;
    grant update (subscription_until, refund_asked_at, refunded, refunds, refunded_at) on payments to kikuai_app;

    -- What follows from those, or is work under way.
    grant insert, update on usage_hourly, usage_quarters, organisation_days, card_refunds, jobs to kikuai_app;
    grant insert, update, delete on subscriptions, notices, checkouts, settings to kikuai_app;
    grant update on stream_positions to kikuai_app;
    grant insert, update (left_at) on departed to kikuai_app;

    -- Messages on their way.
    grant insert, update, delete on outbox, broadcasts to kikuai_app;

    -- No book: written, read and forgotten.
    grant insert, delete on requests to kikuai_app;
end $$;

-- kikuai_backup is who makes backups (deploy/postgres/roles.sql): it may say that one is
-- finished, and nothing else. Where others make them there is no such role.
do $$
begin
    if exists (select from pg_roles where rolname = 'kikuai_backup') then
        execute format('grant connect on database %I to kikuai_backup', current_database());
        grant usage on schema public to kikuai_backup;
        grant execute on function note_backup to kikuai_backup;
    end if;
exception
    when insufficient_privilege then null;
end $$;
