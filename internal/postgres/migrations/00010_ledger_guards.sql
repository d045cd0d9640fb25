-- Expands: part of the first schema, on less than which no server ran.

-- +goose Up

-- The promises of the ledger that the database keeps by itself, whoever writes.
-- Every function names its schema: a table of the same name that a session makes
-- for itself (pg_temp) must not stand in for ours.

-- 1. Append-only. Rows are added, never changed or taken away, by the owner of the
-- tables neither. Triggers for each row are inherited by partitions; those for
-- TRUNCATE are not, so ledger_partitions() makes them.

-- +goose StatementBegin
create function ledger_append_only() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
    raise exception '% of % is refused: its rows are only ever added', tg_op, tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;
-- +goose StatementEnd

create trigger append_only before update or delete on ledger_transactions for each row execute function ledger_append_only();
create trigger append_only before update or delete on ledger_entries for each row execute function ledger_append_only();
create trigger append_only before update or delete on usage for each row execute function ledger_append_only();
create trigger append_only before update or delete on audit_log for each row execute function ledger_append_only();
create trigger no_truncate before truncate on ledger_transactions for each statement execute function ledger_append_only();
create trigger no_truncate before truncate on ledger_entries for each statement execute function ledger_append_only();
create trigger no_truncate before truncate on ledger_entries_default for each statement execute function ledger_append_only();
create trigger no_truncate before truncate on usage for each statement execute function ledger_append_only();
create trigger no_truncate before truncate on usage_default for each statement execute function ledger_append_only();
create trigger no_truncate before truncate on audit_log for each statement execute function ledger_append_only();

-- 2. Zero-sum. At the end of every statement that adds entries, all it added are
-- looked at together:
--   · they belong to a transaction that the same database transaction wrote, with
--     the same account and time, so nothing is ever slipped into an old one;
--   · what the statement left unbalanced is put down in ledger_unbalanced, whose
--     deferred constraint trigger refuses the commit unless it sums to zero by then.
-- Statements that add whole transactions, as ours do, thus cost one grouping and one
-- look into the primary key per transaction. A deferred trigger on each transaction
-- costs a query per transaction at the commit, over every month there is, and holds
-- less: once SET CONSTRAINTS … IMMEDIATE has made it run, more entries can follow.

create table ledger_unbalanced (transaction_id bigint not null);

-- +goose StatementBegin
create function ledger_entries_added() returns trigger language plpgsql security definer
    set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    bad record;
begin
    with added_to as materialized (
        select transaction_id, sum(amount_nano) as nano, min(account_id) as account_from, max(account_id) as account_to,
            min(created_at) as created_from, max(created_at) as created_to
        from added group by transaction_id
    ), unbalanced as (
        insert into ledger_unbalanced select transaction_id from added_to where nano <> 0
    )
    select a.transaction_id, t.id, t.xact is distinct from pg_current_xact_id() as old into bad
    from added_to a left join ledger_transactions t on t.id = a.transaction_id
    where t.xact is distinct from pg_current_xact_id()
        or t.account_id <> a.account_from or t.account_id <> a.account_to
        or t.created_at <> a.created_from or t.created_at <> a.created_to
    limit 1;
    if found then
        raise exception 'entries of ledger transaction % are refused: %', bad.transaction_id, case
            when bad.id is null then 'there is no such transaction'
            when bad.old then 'it was written before'
            else 'it is of another account or time' end
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

create function ledger_sums_to_zero() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
declare
    nano numeric := (select sum(amount_nano) from ledger_entries where transaction_id = new.transaction_id);
begin
    if nano <> 0 then
        raise exception 'ledger transaction % does not sum to zero: % nano-USD too much', new.transaction_id, nano
            using errcode = 'check_violation';
    end if;
    delete from ledger_unbalanced where transaction_id = new.transaction_id;
    return null;
end $$;

create function ledger_transactions_added() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
    if exists (select from added where xact <> pg_current_xact_id()) then
        raise exception 'a ledger transaction states another database transaction than the one that writes it'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;
-- +goose StatementEnd

create constraint trigger sums_to_zero after insert on ledger_unbalanced
    deferrable initially deferred for each row execute function ledger_sums_to_zero();
create trigger added after insert on ledger_transactions referencing new table as added
    for each statement execute function ledger_transactions_added();
-- A statement that names a partition fires the partition's trigger, not its parent's.
create trigger added after insert on ledger_entries referencing new table as added
    for each statement execute function ledger_entries_added();
create trigger added after insert on ledger_entries_default referencing new table as added
    for each statement execute function ledger_entries_added();

-- 3. Months. ledger_partitions makes the partitions of the month before, this one
-- and those ahead, and tells of each that was not there: 'made', 'in default' (the
-- default partition holds rows of that month, so they stay together there) or
-- 'busy' (somebody reads the default partition: next time). It runs with its
-- owner's rights, so that the server can call it.

-- +goose StatementBegin
create function ledger_partitions(ahead integer default 3, at timestamptz default now())
    returns table (partition text, state text) language plpgsql security definer
    set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    parent text;
    month timestamptz;
begin
    if not pg_try_advisory_xact_lock(hashtext('ledger_partitions')) then
        return; -- another instance is at it
    end if;
    foreach parent in array array['ledger_entries', 'usage'] loop
        for month in select generate_series(date_trunc('month', at) - interval '1 month',
            date_trunc('month', at) + interval '1 month' * least(ahead, 12), interval '1 month')
        loop
            partition := parent || to_char(month, '_YYYY_MM');
            continue when to_regclass(partition) is not null;
            begin
                -- Made aside and attached, which readers and writers of the parent do not notice.
                execute format('create table %I (like %I including all)', partition, parent);
                execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                    parent, partition, month, month + interval '1 month');
                execute format('create trigger no_truncate before truncate on %I for each statement
                    execute function ledger_append_only()', partition);
                if parent = 'ledger_entries' then
                    execute format('create trigger added after insert on %I referencing new table as added
                        for each statement execute function ledger_entries_added()', partition);
                end if;
                state := 'made';
            exception
                when check_violation then state := 'in default';
                when lock_not_available then state := 'busy';
            end;
            return next;
        end loop;
    end loop;
end $$;
-- +goose StatementEnd

-- 4. The chain. ledger_bytes is what a transaction and its entries are, as bytes,
-- without ambiguity: whatever may hold a separator is preceded by its length.
-- ledger_chain is the running hash over them: sha256(hash before || bytes). Both are
-- also in billing/chain.go, which checks what is written here.

-- +goose StatementBegin
create function ledger_bytes(
    id bigint, account_id bigint, account_seq bigint, kind text, reference text, shard smallint, epoch bigint,
    stream_ms bigint, stream_seq bigint, memo jsonb, created_at timestamptz, books text[], amounts bigint[]
) returns bytea language sql stable as $$
    select convert_to(concat_ws('|', 'kikuai 1', id, account_id, account_seq, octet_length(kind), kind,
        octet_length(reference), reference, coalesce(shard::text, ''), coalesce(epoch::text, ''),
        coalesce(stream_ms::text, ''), coalesce(stream_seq::text, ''),
        coalesce(octet_length(memo::text)::text, ''), coalesce(memo::text, ''),
        (extract(epoch from created_at) * 1000000)::bigint,
        cardinality(books), array_to_string(books, ','), array_to_string(amounts, ',')), 'UTF8')
$$;

create function ledger_link(hash bytea, head bytea, bytes bytea) returns bytea language plpgsql immutable as $$
begin
    return sha256(coalesce(hash, head) || bytes);
end $$;
-- +goose StatementEnd

create aggregate ledger_chain(head bytea, bytes bytea) (sfunc = ledger_link, stype = bytea);

-- +goose Down

drop table ledger_unbalanced;
drop function ledger_append_only, ledger_entries_added, ledger_transactions_added, ledger_sums_to_zero cascade;
drop function ledger_partitions;
drop aggregate ledger_chain(bytea, bytea);
drop function ledger_link, ledger_bytes;
