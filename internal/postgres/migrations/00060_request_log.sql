-- Expands.

-- +goose Up

-- What key holders' paid requests came to: never a prompt, an answer, an address or a
-- key. Rows are kept for a while and then deleted; no book rests on them, so rows of a
-- process that died may be missing. Durations are in milliseconds.
create table requests (
    created_at        timestamptz not null, -- its end
    request_id        text not null,
    account_id        bigint not null,
    key_id            bigint not null, -- 0: refused before its key was looked up
    operation         text not null,
    model             text not null, -- '': none of the catalogue's
    deployment        text not null, -- '': none was asked
    attempts          integer not null,
    status            integer not null,
    error_code        text not null, -- '': none
    streamed          boolean not null,
    cached            boolean not null, -- answered without a provider
    first_token_ms    integer not null,
    duration_ms       integer not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    cost_nano         bigint not null,
    client            text not null -- the product that the client says it is, such as OpenAI/Python
) partition by range (created_at);

create table requests_default partition of requests default;
create index requests_of_account on requests (account_id, created_at);
create index requests_by_time on requests (created_at);

-- request_log_partitions makes the partitions of this month and those ahead, and drops
-- those that ended by keep. It runs with its owner's rights, so that the server can call
-- it. What cannot be done beside readers is left for the next time.

-- +goose StatementBegin
create function request_log_partitions(keep timestamptz default null, ahead integer default 1, at timestamptz default now())
    returns void language plpgsql security definer
    set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    month timestamptz;
    partition text;
begin
    if not pg_try_advisory_xact_lock(hashtext('request_log_partitions')) then
        return; -- another instance is at it
    end if;
    for month in select generate_series(date_trunc('month', at), date_trunc('month', at) + interval '1 month' * least(ahead, 12), interval '1 month')
    loop
        partition := 'requests' || to_char(month, '_YYYY_MM');
        continue when to_regclass(partition) is not null;
        begin
            execute format('create table %I (like requests including all)', partition);
            execute format('alter table requests attach partition %I for values from (%L) to (%L)',
                partition, month, month + interval '1 month');
        exception
            when check_violation or lock_not_available then null;
        end;
    end loop;
    for partition in select inhrelid::regclass::text from pg_inherits
        where inhparent = 'requests'::regclass and inhrelid::regclass::text ~ '^requests_\d{4}_\d{2}$' order by 1
    loop
        month := to_timestamp(right(partition, 7), 'YYYY_MM');
        if month + interval '1 month' <= keep then
            begin
                execute format('drop table %I', partition);
            exception
                when lock_not_available then null;
            end;
        end if;
    end loop;
end $$;
-- +goose StatementEnd

-- +goose Down

drop function request_log_partitions;
drop table requests;
