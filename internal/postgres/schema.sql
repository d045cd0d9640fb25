-- What the migrations make. Written by go test ./internal/postgres -run TestSchema -update.

CREATE FUNCTION public.api_keys_changed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
    new.seq = old.seq + 1;
    return new;
end $$;

CREATE FUNCTION public.ledger_append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
    raise exception '% of % is refused: its rows are only ever added', tg_op, tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;

CREATE FUNCTION public.ledger_bytes(id bigint, account_id bigint, account_seq bigint, kind text, reference text, shard smallint, epoch bigint, stream_ms bigint, stream_seq bigint, memo jsonb, created_at timestamp with time zone, books text[], amounts bigint[]) RETURNS bytea
    LANGUAGE sql STABLE
    AS $$
    select convert_to(concat_ws('|', 'kikuai 1', id, account_id, account_seq, octet_length(kind), kind,
        octet_length(reference), reference, coalesce(shard::text, ''), coalesce(epoch::text, ''),
        coalesce(stream_ms::text, ''), coalesce(stream_seq::text, ''),
        coalesce(octet_length(memo::text)::text, ''), coalesce(memo::text, ''),
        (extract(epoch from created_at) * 1000000)::bigint,
        cardinality(books), array_to_string(books, ','), array_to_string(amounts, ',')), 'UTF8')
$$;

CREATE FUNCTION public.ledger_entries_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION public.ledger_link(hash bytea, head bytea, bytes bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
    return sha256(coalesce(hash, head) || bytes);
end $$;

CREATE FUNCTION public.ledger_partitions(ahead integer DEFAULT 3, at timestamp with time zone DEFAULT now()) RETURNS TABLE(partition text, state text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '1s'
    AS $$
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

CREATE FUNCTION public.ledger_sums_to_zero() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.ledger_transactions_added() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
    if exists (select from added where xact <> pg_current_xact_id()) then
        raise exception 'a ledger transaction states another database transaction than the one that writes it'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

CREATE FUNCTION public.note_backup(bytes bigint) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    insert into backups (bytes) values (note_backup.bytes);
    delete from backups where finished_at <
        (select min(finished_at) from (select finished_at from backups order by finished_at desc limit 100) newest);
$$;

CREATE FUNCTION public.request_log_partitions(keep timestamp with time zone DEFAULT NULL::timestamp with time zone, ahead integer DEFAULT 1, at timestamp with time zone DEFAULT now()) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '1s'
    AS $_$
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
end $_$;

CREATE TABLE public.accounts (
    id bigint NOT NULL,
    telegram_id bigint,
    status text DEFAULT 'active'::text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    balance_nano bigint DEFAULT 0 NOT NULL,
    credit_seq bigint DEFAULT 0 NOT NULL,
    ledger_seq bigint DEFAULT 0 NOT NULL,
    ledger_hash bytea DEFAULT decode(repeat('00'::text, 32), 'hex'::text) NOT NULL,
    budget_day_nano bigint,
    budget_month_nano bigint,
    low_balance_nano bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    met_at timestamp with time zone,
    projected_at timestamp with time zone,
    confirmed boolean DEFAULT false NOT NULL,
    known boolean DEFAULT false NOT NULL,
    tier text,
    organisation_id bigint,
    limits_seq bigint DEFAULT 0 NOT NULL,
    CONSTRAINT accounts_balance_nano_check CHECK (((balance_nano >= '-9007199254740991'::bigint) AND (balance_nano <= '9007199254740991'::bigint))),
    CONSTRAINT accounts_budget_day_nano_check CHECK ((budget_day_nano > 0)),
    CONSTRAINT accounts_budget_month_nano_check CHECK ((budget_month_nano > 0)),
    CONSTRAINT accounts_credit_seq_check CHECK ((credit_seq >= 0)),
    CONSTRAINT accounts_language_check CHECK ((char_length(language) <= 35)),
    CONSTRAINT accounts_ledger_hash_check CHECK ((octet_length(ledger_hash) = 32)),
    CONSTRAINT accounts_ledger_seq_check CHECK ((ledger_seq >= 0)),
    CONSTRAINT accounts_limits_seq_check CHECK ((limits_seq >= 0)),
    CONSTRAINT accounts_low_balance_nano_check CHECK ((low_balance_nano >= 0)),
    CONSTRAINT accounts_name_check CHECK ((char_length(name) <= 256)),
    CONSTRAINT accounts_settings_check CHECK ((jsonb_typeof(settings) = 'object'::text)),
    CONSTRAINT accounts_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'closed'::text]))),
    CONSTRAINT accounts_telegram_id_check CHECK (((telegram_id > 0) AND (telegram_id < '4503599627370496'::bigint)))
)
WITH (fillfactor='80');

ALTER TABLE public.accounts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.api_keys (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    locator text NOT NULL,
    mac text NOT NULL,
    pepper_version text NOT NULL,
    hint text NOT NULL,
    requests_per_minute integer,
    budget_day_nano bigint,
    budget_month_nano bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    projected_at timestamp with time zone,
    confirmed boolean DEFAULT false NOT NULL,
    tokens_per_minute integer,
    concurrency integer,
    refill_milli integer,
    burst integer,
    seq bigint DEFAULT 0 NOT NULL,
    models text[],
    allowed_ips cidr[],
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    idempotency_key text,
    request_hash bytea,
    chat_id bigint,
    CONSTRAINT api_keys_allowed_ips_check CHECK ((((cardinality(allowed_ips) >= 1) AND (cardinality(allowed_ips) <= 32)) AND (array_position(allowed_ips, NULL::cidr) IS NULL))),
    CONSTRAINT api_keys_bucket_check CHECK (((refill_milli IS NULL) = (burst IS NULL))),
    CONSTRAINT api_keys_budget_day_nano_check CHECK ((budget_day_nano > 0)),
    CONSTRAINT api_keys_budget_month_nano_check CHECK ((budget_month_nano > 0)),
    CONSTRAINT api_keys_burst_check CHECK ((burst > 0)),
    CONSTRAINT api_keys_chat_check CHECK (((chat_id IS NULL) OR (revoked_at IS NOT NULL) OR (budget_day_nano IS NOT NULL))),
    CONSTRAINT api_keys_chat_id_check CHECK ((chat_id <> 0)),
    CONSTRAINT api_keys_concurrency_check CHECK ((concurrency > 0)),
    CONSTRAINT api_keys_idempotency_key_check CHECK (((char_length(idempotency_key) >= 1) AND (char_length(idempotency_key) <= 200))),
    CONSTRAINT api_keys_locator_check CHECK ((locator ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT api_keys_mac_check CHECK ((mac ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT api_keys_models_check CHECK ((((cardinality(models) >= 1) AND (cardinality(models) <= 64)) AND (array_position(models, NULL::text) IS NULL))),
    CONSTRAINT api_keys_name_check CHECK ((char_length(name) <= 64)),
    CONSTRAINT api_keys_refill_milli_check CHECK ((refill_milli > 0)),
    CONSTRAINT api_keys_request_check CHECK (((idempotency_key IS NULL) = (request_hash IS NULL))),
    CONSTRAINT api_keys_request_hash_check CHECK ((octet_length(request_hash) = 32)),
    CONSTRAINT api_keys_requests_per_minute_check CHECK ((requests_per_minute > 0)),
    CONSTRAINT api_keys_seq_check CHECK ((seq >= 0)),
    CONSTRAINT api_keys_tokens_per_minute_check CHECK ((tokens_per_minute > 0))
);

ALTER TABLE public.api_keys ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.api_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    account_id bigint,
    key_id bigint,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT audit_log_action_check CHECK (((char_length(action) >= 1) AND (char_length(action) <= 64))),
    CONSTRAINT audit_log_actor_check CHECK (((char_length(actor) >= 1) AND (char_length(actor) <= 100))),
    CONSTRAINT audit_log_details_check CHECK ((jsonb_typeof(details) = 'object'::text))
);

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.backups (
    finished_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT backups_bytes_check CHECK ((bytes > 0))
);

CREATE TABLE public.broadcasts (
    id bigint NOT NULL,
    name text NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    message jsonb NOT NULL,
    audience jsonb NOT NULL,
    started_by text NOT NULL,
    report_chat bigint,
    report_message bigint,
    reported text DEFAULT ''::text NOT NULL,
    filled_to bigint DEFAULT 0 NOT NULL,
    filled boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT broadcasts_audience_check CHECK ((jsonb_typeof(audience) = 'object'::text)),
    CONSTRAINT broadcasts_message_check CHECK ((jsonb_typeof(message) = 'object'::text)),
    CONSTRAINT broadcasts_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200))),
    CONSTRAINT broadcasts_started_by_check CHECK (((char_length(started_by) >= 1) AND (char_length(started_by) <= 100))),
    CONSTRAINT broadcasts_state_check CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'cancelled'::text, 'done'::text])))
);

ALTER TABLE public.broadcasts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.broadcasts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.card_refunds (
    charge_id text NOT NULL,
    told bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    disputes jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT card_refunds_charge_id_check CHECK (((char_length(charge_id) >= 1) AND (char_length(charge_id) <= 200))),
    CONSTRAINT card_refunds_disputes_check CHECK ((jsonb_typeof(disputes) = 'object'::text)),
    CONSTRAINT card_refunds_told_check CHECK ((told >= 0))
);

CREATE TABLE public.checkouts (
    id text NOT NULL,
    account_id bigint NOT NULL,
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    provider text NOT NULL,
    amount bigint NOT NULL,
    credit_nano bigint NOT NULL,
    attempt integer DEFAULT 1 NOT NULL,
    url text DEFAULT ''::text NOT NULL,
    charge_id text,
    refused text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT checkouts_amount_check CHECK ((amount > 0)),
    CONSTRAINT checkouts_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT checkouts_credit_nano_check CHECK ((credit_nano > 0)),
    CONSTRAINT checkouts_id_check CHECK (((char_length(id) >= 1) AND (char_length(id) <= 64))),
    CONSTRAINT checkouts_idempotency_key_check CHECK (((char_length(idempotency_key) >= 1) AND (char_length(idempotency_key) <= 200))),
    CONSTRAINT checkouts_provider_check CHECK ((provider = ANY (ARRAY['stars'::text, 'card'::text]))),
    CONSTRAINT checkouts_request_hash_check CHECK ((octet_length(request_hash) = 32))
);

CREATE TABLE public.credits (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    amount_nano bigint NOT NULL,
    kind text NOT NULL,
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    transaction_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    projected_at timestamp with time zone,
    confirmed boolean DEFAULT false NOT NULL,
    CONSTRAINT credits_amount_nano_check CHECK ((amount_nano > 0)),
    CONSTRAINT credits_idempotency_key_check CHECK (((char_length(idempotency_key) >= 1) AND (char_length(idempotency_key) <= 200))),
    CONSTRAINT credits_request_hash_check CHECK ((octet_length(request_hash) = 32)),
    CONSTRAINT credits_seq_check CHECK ((seq > 0))
);

ALTER TABLE public.credits ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.credits_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.debits (
    reference text NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL,
    amount_nano bigint NOT NULL,
    key_id bigint DEFAULT 0 NOT NULL,
    book text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    posted_at timestamp with time zone,
    beyond_nano bigint DEFAULT 0 NOT NULL,
    CONSTRAINT debits_amount_nano_check CHECK ((amount_nano > 0)),
    CONSTRAINT debits_beyond_nano_check CHECK ((beyond_nano >= 0)),
    CONSTRAINT debits_check CHECK (
CASE kind
    WHEN 'settle'::text THEN ((book = 'revenue'::text) AND (reference ~~ 'hold:%'::text))
    ELSE ((book = ANY (ARRAY['promotion'::text, 'adjustment'::text, 'stars'::text, 'card'::text])) AND (reference !~~ 'hold:%'::text))
END),
    CONSTRAINT debits_kind_check CHECK ((kind = ANY (ARRAY['settle'::text, 'refund'::text]))),
    CONSTRAINT debits_reference_check CHECK (((char_length(reference) >= 1) AND (char_length(reference) <= 400)))
);

CREATE TABLE public.departed (
    person bytea NOT NULL,
    left_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT departed_person_check CHECK ((octet_length(person) = 32))
);

CREATE TABLE public.gifts (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    amount_nano bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    credited_to bigint,
    transaction_id bigint,
    CONSTRAINT gifts_amount_nano_check CHECK ((amount_nano > 0)),
    CONSTRAINT gifts_check CHECK (((settled_at IS NULL) = (credited_to IS NULL))),
    CONSTRAINT gifts_check1 CHECK (((settled_at IS NULL) = (transaction_id IS NULL))),
    CONSTRAINT gifts_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200)))
);

ALTER TABLE public.gifts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.gifts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.jobs (
    name text NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    last_ok_at timestamp with time zone,
    state jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.ledger_entries (
    transaction_id bigint NOT NULL,
    "position" smallint NOT NULL,
    account_id bigint NOT NULL,
    book text NOT NULL,
    amount_nano bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_entries_amount_nano_check CHECK ((amount_nano <> 0)),
    CONSTRAINT ledger_entries_book_check CHECK ((book = ANY (ARRAY['customer'::text, 'revenue'::text, 'write_off'::text, 'promotion'::text, 'adjustment'::text, 'stars'::text, 'card'::text, 'gifts'::text]))),
    CONSTRAINT ledger_entries_position_check CHECK (("position" > 0))
)
PARTITION BY RANGE (created_at);

CREATE TABLE public.ledger_entries_default (
    transaction_id bigint NOT NULL,
    "position" smallint NOT NULL,
    account_id bigint NOT NULL,
    book text NOT NULL,
    amount_nano bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_entries_amount_nano_check CHECK ((amount_nano <> 0)),
    CONSTRAINT ledger_entries_book_check CHECK ((book = ANY (ARRAY['customer'::text, 'revenue'::text, 'write_off'::text, 'promotion'::text, 'adjustment'::text, 'stars'::text, 'card'::text, 'gifts'::text]))),
    CONSTRAINT ledger_entries_position_check CHECK (("position" > 0))
);

CREATE TABLE public.ledger_transactions (
    id bigint NOT NULL,
    kind text NOT NULL,
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL,
    reference text NOT NULL,
    shard smallint,
    epoch bigint,
    stream_ms bigint,
    stream_seq bigint,
    memo jsonb,
    hash bytea NOT NULL,
    xact xid8 DEFAULT pg_current_xact_id() NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_transactions_account_seq_check CHECK ((account_seq > 0)),
    CONSTRAINT ledger_transactions_hash_check CHECK ((octet_length(hash) = 32)),
    CONSTRAINT ledger_transactions_kind_check CHECK (((char_length(kind) >= 1) AND (char_length(kind) <= 64))),
    CONSTRAINT ledger_transactions_reference_check CHECK (((char_length(reference) >= 1) AND (char_length(reference) <= 400))),
    CONSTRAINT ledger_transactions_shard_check CHECK (((shard >= 0) AND (shard <= 15)))
);

ALTER TABLE public.ledger_transactions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.ledger_transactions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ledger_unbalanced (
    transaction_id bigint NOT NULL
);

CREATE TABLE public.notices (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL,
    unique_key text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    CONSTRAINT notices_details_check CHECK ((jsonb_typeof(details) = 'object'::text)),
    CONSTRAINT notices_kind_check CHECK (((char_length(kind) >= 1) AND (char_length(kind) <= 64))),
    CONSTRAINT notices_unique_key_check CHECK (((char_length(unique_key) >= 1) AND (char_length(unique_key) <= 400)))
);

ALTER TABLE public.notices ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.notices_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.organisation_days (
    organisation_id bigint NOT NULL,
    day integer NOT NULL,
    shard smallint NOT NULL,
    captured_nano bigint NOT NULL,
    CONSTRAINT organisation_days_captured_nano_check CHECK ((captured_nano >= 0)),
    CONSTRAINT organisation_days_shard_check CHECK (((shard >= 0) AND (shard <= 15)))
)
WITH (fillfactor='80');

CREATE TABLE public.organisations (
    id bigint NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    requests_per_minute integer DEFAULT 0 NOT NULL,
    tokens_per_minute integer DEFAULT 0 NOT NULL,
    concurrency integer DEFAULT 0 NOT NULL,
    refill_milli integer DEFAULT 0 NOT NULL,
    burst integer DEFAULT 0 NOT NULL,
    budget_day_nano bigint,
    budget_month_nano bigint,
    seq bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT organisations_budget_day_nano_check CHECK ((budget_day_nano > 0)),
    CONSTRAINT organisations_budget_month_nano_check CHECK ((budget_month_nano > 0)),
    CONSTRAINT organisations_burst_check CHECK ((burst >= 0)),
    CONSTRAINT organisations_check CHECK (((refill_milli = 0) = (burst = 0))),
    CONSTRAINT organisations_concurrency_check CHECK ((concurrency >= 0)),
    CONSTRAINT organisations_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 64))),
    CONSTRAINT organisations_refill_milli_check CHECK ((refill_milli >= 0)),
    CONSTRAINT organisations_requests_per_minute_check CHECK ((requests_per_minute >= 0)),
    CONSTRAINT organisations_seq_check CHECK ((seq > 0)),
    CONSTRAINT organisations_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text]))),
    CONSTRAINT organisations_tokens_per_minute_check CHECK ((tokens_per_minute >= 0))
);

ALTER TABLE public.organisations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.organisations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    name text NOT NULL,
    broadcast_id bigint,
    chat_id bigint NOT NULL,
    message jsonb,
    state text DEFAULT 'waiting'::text NOT NULL,
    claims integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    ended_at timestamp with time zone,
    file_name text,
    file bytea,
    wish bytea,
    CONSTRAINT outbox_chat_id_check CHECK ((chat_id <> 0)),
    CONSTRAINT outbox_check CHECK (((state = 'waiting'::text) = (ended_at IS NULL))),
    CONSTRAINT outbox_check1 CHECK (((state <> 'waiting'::text) OR ((message IS NULL) = (broadcast_id IS NOT NULL)))),
    CONSTRAINT outbox_claims_check CHECK ((claims >= 0)),
    CONSTRAINT outbox_file_check CHECK ((octet_length(file) <= 16777216)),
    CONSTRAINT outbox_file_name_check CHECK (((char_length(file_name) >= 1) AND (char_length(file_name) <= 100))),
    CONSTRAINT outbox_file_named CHECK ((((file IS NULL) = (file_name IS NULL)) AND ((file IS NULL) OR (message IS NOT NULL)))),
    CONSTRAINT outbox_message_check CHECK ((jsonb_typeof(message) = 'object'::text)),
    CONSTRAINT outbox_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200))),
    CONSTRAINT outbox_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sent'::text, 'blocked'::text, 'failed'::text, 'expired'::text, 'cancelled'::text]))),
    CONSTRAINT outbox_wish_check CHECK ((octet_length(wish) = 32))
);

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.payments (
    charge_id text NOT NULL,
    provider text NOT NULL,
    account_id bigint NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    credit_nano bigint NOT NULL,
    transaction_id bigint NOT NULL,
    subscription_until timestamp with time zone,
    paid_at timestamp with time zone DEFAULT now() NOT NULL,
    refund_asked_at timestamp with time zone,
    refunded bigint DEFAULT 0 NOT NULL,
    refunds integer DEFAULT 0 NOT NULL,
    refunded_at timestamp with time zone,
    CONSTRAINT payments_amount_check CHECK ((amount > 0)),
    CONSTRAINT payments_charge_id_check CHECK (((char_length(charge_id) >= 1) AND (char_length(charge_id) <= 200))),
    CONSTRAINT payments_check CHECK (((refunded >= 0) AND (refunded <= amount))),
    CONSTRAINT payments_credit_nano_check CHECK ((credit_nano > 0)),
    CONSTRAINT payments_currency_check CHECK ((currency = ANY (ARRAY['XTR'::text, 'USD'::text]))),
    CONSTRAINT payments_provider_check CHECK ((provider = ANY (ARRAY['stars'::text, 'card'::text]))),
    CONSTRAINT payments_refunds_check CHECK ((refunds >= 0))
);

CREATE TABLE public.referrals (
    account_id bigint NOT NULL,
    referrer_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    settled_at timestamp with time zone,
    charge_id text,
    referred_nano bigint DEFAULT 0 NOT NULL,
    referrer_nano bigint DEFAULT 0 NOT NULL,
    CONSTRAINT referrals_check CHECK ((account_id <> referrer_id)),
    CONSTRAINT referrals_check1 CHECK (((settled_at IS NULL) = (charge_id IS NULL))),
    CONSTRAINT referrals_check2 CHECK (((settled_at IS NOT NULL) OR ((referred_nano = 0) AND (referrer_nano = 0)))),
    CONSTRAINT referrals_referred_nano_check CHECK ((referred_nano >= 0)),
    CONSTRAINT referrals_referrer_nano_check CHECK ((referrer_nano >= 0))
);

CREATE TABLE public.requests (
    created_at timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    operation text NOT NULL,
    model text NOT NULL,
    deployment text NOT NULL,
    attempts integer NOT NULL,
    status integer NOT NULL,
    error_code text NOT NULL,
    streamed boolean NOT NULL,
    cached boolean NOT NULL,
    first_token_ms integer NOT NULL,
    duration_ms integer NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    client text NOT NULL
)
PARTITION BY RANGE (created_at);

CREATE TABLE public.requests_default (
    created_at timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    operation text NOT NULL,
    model text NOT NULL,
    deployment text NOT NULL,
    attempts integer NOT NULL,
    status integer NOT NULL,
    error_code text NOT NULL,
    streamed boolean NOT NULL,
    cached boolean NOT NULL,
    first_token_ms integer NOT NULL,
    duration_ms integer NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    client text NOT NULL
);

CREATE TABLE public.settings (
    account_id bigint NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    model text DEFAULT ''::text NOT NULL,
    favourites text[] DEFAULT '{}'::text[] NOT NULL,
    persona text DEFAULT ''::text NOT NULL,
    zone text DEFAULT ''::text NOT NULL,
    hide_cost boolean DEFAULT false NOT NULL,
    mute_low boolean DEFAULT false NOT NULL,
    mute_news boolean DEFAULT false NOT NULL,
    long_as_file boolean DEFAULT false NOT NULL,
    rich boolean DEFAULT false NOT NULL,
    forget_after integer DEFAULT 0 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT settings_favourites_check CHECK (((cardinality(favourites) <= 16) AND (array_position(favourites, NULL::text) IS NULL))),
    CONSTRAINT settings_forget_after_check CHECK (((forget_after >= 0) AND (forget_after <= 2592000))),
    CONSTRAINT settings_language_check CHECK ((char_length(language) <= 35)),
    CONSTRAINT settings_model_check CHECK ((char_length(model) <= 128)),
    CONSTRAINT settings_persona_check CHECK ((char_length(persona) <= 4096)),
    CONSTRAINT settings_zone_check CHECK ((char_length(zone) <= 64))
);

CREATE TABLE public.stream_positions (
    shard smallint NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    last_ms bigint DEFAULT 0 NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stream_positions_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT stream_positions_shard_check CHECK (((shard >= 0) AND (shard <= 15)))
)
WITH (fillfactor='50');

CREATE TABLE public.subscriptions (
    account_id bigint NOT NULL,
    charge_id text NOT NULL,
    stars bigint NOT NULL,
    paid_until timestamp with time zone NOT NULL,
    state text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT subscriptions_stars_check CHECK ((stars > 0)),
    CONSTRAINT subscriptions_state_check CHECK ((state = ANY (ARRAY['active'::text, 'canceled'::text, 'stopped'::text, 'failed'::text])))
);

CREATE TABLE public.tiers (
    name text NOT NULL,
    requests_per_minute integer DEFAULT 0 NOT NULL,
    tokens_per_minute integer DEFAULT 0 NOT NULL,
    concurrency integer DEFAULT 0 NOT NULL,
    refill_milli integer DEFAULT 0 NOT NULL,
    burst integer DEFAULT 0 NOT NULL,
    seq bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tiers_burst_check CHECK ((burst >= 0)),
    CONSTRAINT tiers_check CHECK (((refill_milli = 0) = (burst = 0))),
    CONSTRAINT tiers_concurrency_check CHECK ((concurrency >= 0)),
    CONSTRAINT tiers_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9_-]{0,31}$'::text)),
    CONSTRAINT tiers_refill_milli_check CHECK ((refill_milli >= 0)),
    CONSTRAINT tiers_requests_per_minute_check CHECK ((requests_per_minute >= 0)),
    CONSTRAINT tiers_seq_check CHECK ((seq > 0)),
    CONSTRAINT tiers_tokens_per_minute_check CHECK ((tokens_per_minute >= 0))
);

CREATE TABLE public.usage (
    transaction_id bigint NOT NULL,
    hold_id text NOT NULL,
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    deployment text NOT NULL,
    source text NOT NULL,
    prompt_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    captured_nano bigint NOT NULL,
    write_off_nano bigint NOT NULL,
    estimated boolean NOT NULL,
    duration_ms integer NOT NULL,
    first_token_ms integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    organisation_id bigint,
    organisation_day integer,
    cached_input_audio_tokens bigint DEFAULT 0 NOT NULL,
    cache_write_1h_tokens bigint DEFAULT 0 NOT NULL,
    input_audio_tokens bigint DEFAULT 0 NOT NULL,
    input_image_tokens bigint DEFAULT 0 NOT NULL,
    output_audio_tokens bigint DEFAULT 0 NOT NULL,
    output_image_tokens bigint DEFAULT 0 NOT NULL,
    images bigint DEFAULT 0 NOT NULL,
    audio_ms bigint DEFAULT 0 NOT NULL,
    characters bigint DEFAULT 0 NOT NULL,
    CONSTRAINT usage_audio_ms_check CHECK ((audio_ms >= 0)),
    CONSTRAINT usage_cache_write_1h_tokens_check CHECK ((cache_write_1h_tokens >= 0)),
    CONSTRAINT usage_cache_write_tokens_check CHECK ((cache_write_tokens >= 0)),
    CONSTRAINT usage_cached_input_audio_tokens_check CHECK ((cached_input_audio_tokens >= 0)),
    CONSTRAINT usage_cached_tokens_check CHECK ((cached_tokens >= 0)),
    CONSTRAINT usage_captured_nano_check CHECK ((captured_nano >= 0)),
    CONSTRAINT usage_characters_check CHECK ((characters >= 0)),
    CONSTRAINT usage_check CHECK ((cost_nano = (captured_nano + write_off_nano))),
    CONSTRAINT usage_completion_tokens_check CHECK ((completion_tokens >= 0)),
    CONSTRAINT usage_images_check CHECK ((images >= 0)),
    CONSTRAINT usage_input_audio_tokens_check CHECK ((input_audio_tokens >= 0)),
    CONSTRAINT usage_input_image_tokens_check CHECK ((input_image_tokens >= 0)),
    CONSTRAINT usage_organisation_check CHECK (((organisation_id IS NULL) = (organisation_day IS NULL))),
    CONSTRAINT usage_output_audio_tokens_check CHECK ((output_audio_tokens >= 0)),
    CONSTRAINT usage_output_image_tokens_check CHECK ((output_image_tokens >= 0)),
    CONSTRAINT usage_prompt_tokens_check CHECK ((prompt_tokens >= 0)),
    CONSTRAINT usage_reasoning_tokens_check CHECK ((reasoning_tokens >= 0)),
    CONSTRAINT usage_write_off_nano_check CHECK ((write_off_nano >= 0))
)
PARTITION BY RANGE (created_at);

CREATE TABLE public.usage_default (
    transaction_id bigint NOT NULL,
    hold_id text NOT NULL,
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    deployment text NOT NULL,
    source text NOT NULL,
    prompt_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    captured_nano bigint NOT NULL,
    write_off_nano bigint NOT NULL,
    estimated boolean NOT NULL,
    duration_ms integer NOT NULL,
    first_token_ms integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    organisation_id bigint,
    organisation_day integer,
    cached_input_audio_tokens bigint DEFAULT 0 NOT NULL,
    cache_write_1h_tokens bigint DEFAULT 0 NOT NULL,
    input_audio_tokens bigint DEFAULT 0 NOT NULL,
    input_image_tokens bigint DEFAULT 0 NOT NULL,
    output_audio_tokens bigint DEFAULT 0 NOT NULL,
    output_image_tokens bigint DEFAULT 0 NOT NULL,
    images bigint DEFAULT 0 NOT NULL,
    audio_ms bigint DEFAULT 0 NOT NULL,
    characters bigint DEFAULT 0 NOT NULL,
    CONSTRAINT usage_audio_ms_check CHECK ((audio_ms >= 0)),
    CONSTRAINT usage_cache_write_1h_tokens_check CHECK ((cache_write_1h_tokens >= 0)),
    CONSTRAINT usage_cache_write_tokens_check CHECK ((cache_write_tokens >= 0)),
    CONSTRAINT usage_cached_input_audio_tokens_check CHECK ((cached_input_audio_tokens >= 0)),
    CONSTRAINT usage_cached_tokens_check CHECK ((cached_tokens >= 0)),
    CONSTRAINT usage_captured_nano_check CHECK ((captured_nano >= 0)),
    CONSTRAINT usage_characters_check CHECK ((characters >= 0)),
    CONSTRAINT usage_check CHECK ((cost_nano = (captured_nano + write_off_nano))),
    CONSTRAINT usage_completion_tokens_check CHECK ((completion_tokens >= 0)),
    CONSTRAINT usage_images_check CHECK ((images >= 0)),
    CONSTRAINT usage_input_audio_tokens_check CHECK ((input_audio_tokens >= 0)),
    CONSTRAINT usage_input_image_tokens_check CHECK ((input_image_tokens >= 0)),
    CONSTRAINT usage_organisation_check CHECK (((organisation_id IS NULL) = (organisation_day IS NULL))),
    CONSTRAINT usage_output_audio_tokens_check CHECK ((output_audio_tokens >= 0)),
    CONSTRAINT usage_output_image_tokens_check CHECK ((output_image_tokens >= 0)),
    CONSTRAINT usage_prompt_tokens_check CHECK ((prompt_tokens >= 0)),
    CONSTRAINT usage_reasoning_tokens_check CHECK ((reasoning_tokens >= 0)),
    CONSTRAINT usage_write_off_nano_check CHECK ((write_off_nano >= 0))
);

CREATE TABLE public.usage_hourly (
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    hour timestamp with time zone NOT NULL,
    calls bigint NOT NULL,
    estimated_calls bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    captured_nano bigint NOT NULL,
    write_off_nano bigint NOT NULL,
    cached_input_audio_tokens bigint DEFAULT 0 NOT NULL,
    cache_write_1h_tokens bigint DEFAULT 0 NOT NULL,
    input_audio_tokens bigint DEFAULT 0 NOT NULL,
    input_image_tokens bigint DEFAULT 0 NOT NULL,
    output_audio_tokens bigint DEFAULT 0 NOT NULL,
    output_image_tokens bigint DEFAULT 0 NOT NULL,
    images bigint DEFAULT 0 NOT NULL,
    audio_ms bigint DEFAULT 0 NOT NULL,
    characters bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='80');

CREATE TABLE public.usage_quarters (
    account_id bigint NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    quarter timestamp with time zone NOT NULL,
    calls bigint NOT NULL,
    estimated_calls bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    captured_nano bigint NOT NULL,
    write_off_nano bigint NOT NULL,
    cached_input_audio_tokens bigint DEFAULT 0 NOT NULL,
    cache_write_1h_tokens bigint DEFAULT 0 NOT NULL,
    input_audio_tokens bigint DEFAULT 0 NOT NULL,
    input_image_tokens bigint DEFAULT 0 NOT NULL,
    output_audio_tokens bigint DEFAULT 0 NOT NULL,
    output_image_tokens bigint DEFAULT 0 NOT NULL,
    images bigint DEFAULT 0 NOT NULL,
    audio_ms bigint DEFAULT 0 NOT NULL,
    characters bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.ledger_entries ATTACH PARTITION public.ledger_entries_default DEFAULT;

ALTER TABLE ONLY public.requests ATTACH PARTITION public.requests_default DEFAULT;

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_default DEFAULT;

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_telegram_id_key UNIQUE (telegram_id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_locator_key UNIQUE (locator);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.backups
    ADD CONSTRAINT backups_pkey PRIMARY KEY (finished_at);

ALTER TABLE ONLY public.broadcasts
    ADD CONSTRAINT broadcasts_name_key UNIQUE (name);

ALTER TABLE ONLY public.broadcasts
    ADD CONSTRAINT broadcasts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.card_refunds
    ADD CONSTRAINT card_refunds_pkey PRIMARY KEY (charge_id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_account_id_idempotency_key_key UNIQUE (account_id, idempotency_key);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.credits
    ADD CONSTRAINT credits_account_id_seq_key UNIQUE (account_id, seq);

ALTER TABLE ONLY public.credits
    ADD CONSTRAINT credits_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.credits
    ADD CONSTRAINT credits_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.debits
    ADD CONSTRAINT debits_pkey PRIMARY KEY (reference);

ALTER TABLE ONLY public.departed
    ADD CONSTRAINT departed_pkey PRIMARY KEY (person);

ALTER TABLE ONLY public.gifts
    ADD CONSTRAINT gifts_account_id_name_key UNIQUE (account_id, name);

ALTER TABLE ONLY public.gifts
    ADD CONSTRAINT gifts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_pkey PRIMARY KEY (transaction_id, "position", created_at);

ALTER TABLE ONLY public.ledger_entries_default
    ADD CONSTRAINT ledger_entries_default_pkey PRIMARY KEY (transaction_id, "position", created_at);

ALTER TABLE ONLY public.ledger_transactions
    ADD CONSTRAINT ledger_transactions_account_id_account_seq_key UNIQUE (account_id, account_seq);

ALTER TABLE ONLY public.ledger_transactions
    ADD CONSTRAINT ledger_transactions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_transactions
    ADD CONSTRAINT ledger_transactions_reference_key UNIQUE (reference);

ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_unique_key_key UNIQUE (unique_key);

ALTER TABLE ONLY public.organisation_days
    ADD CONSTRAINT organisation_days_pkey PRIMARY KEY (organisation_id, day, shard);

ALTER TABLE ONLY public.organisations
    ADD CONSTRAINT organisations_name_key UNIQUE (name);

ALTER TABLE ONLY public.organisations
    ADD CONSTRAINT organisations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_name_key UNIQUE (name);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (charge_id);

ALTER TABLE ONLY public.referrals
    ADD CONSTRAINT referrals_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.stream_positions
    ADD CONSTRAINT stream_positions_pkey PRIMARY KEY (shard);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.tiers
    ADD CONSTRAINT tiers_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (transaction_id, created_at);

ALTER TABLE ONLY public.usage_default
    ADD CONSTRAINT usage_default_pkey PRIMARY KEY (transaction_id, created_at);

ALTER TABLE ONLY public.usage_hourly
    ADD CONSTRAINT usage_hourly_pkey PRIMARY KEY (account_id, hour, key_id, model);

ALTER TABLE ONLY public.usage_quarters
    ADD CONSTRAINT usage_quarters_pkey PRIMARY KEY (account_id, quarter, key_id, model);

CREATE INDEX accounts_of_organisation ON public.accounts USING btree (organisation_id, id) WHERE (organisation_id IS NOT NULL);

CREATE INDEX accounts_of_shard ON public.accounts USING btree (((id & (15)::bigint)), id);

CREATE INDEX accounts_to_project ON public.accounts USING btree (((id & (15)::bigint)), id) WHERE (NOT confirmed);

CREATE UNIQUE INDEX api_keys_chat_id_idx ON public.api_keys USING btree (chat_id) WHERE ((chat_id IS NOT NULL) AND (revoked_at IS NULL));

CREATE INDEX api_keys_of_account ON public.api_keys USING btree (account_id, id);

CREATE UNIQUE INDEX api_keys_of_request ON public.api_keys USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX api_keys_of_shard ON public.api_keys USING btree (((account_id & (15)::bigint)), id);

CREATE INDEX api_keys_to_project ON public.api_keys USING btree (((account_id & (15)::bigint)), id) WHERE (NOT confirmed);

CREATE INDEX audit_log_by_details ON public.audit_log USING gin (details jsonb_path_ops);

CREATE INDEX audit_log_of_account ON public.audit_log USING btree (account_id, id) WHERE (account_id IS NOT NULL);

CREATE INDEX broadcasts_under_way ON public.broadcasts USING btree (id) WHERE (state = ANY (ARRAY['running'::text, 'paused'::text]));

CREATE INDEX credits_to_project ON public.credits USING btree (((account_id & (15)::bigint)), account_id, seq) WHERE (NOT confirmed);

CREATE INDEX debits_to_take ON public.debits USING btree (((account_id & (15)::bigint)), created_at) WHERE (posted_at IS NULL);

CREATE INDEX gifts_credited_to_idx ON public.gifts USING btree (credited_to) WHERE (settled_at IS NOT NULL);

CREATE INDEX gifts_expires_at_idx ON public.gifts USING btree (expires_at) WHERE (settled_at IS NULL);

CREATE INDEX ledger_transactions_not_calls ON public.ledger_transactions USING btree (account_id, account_seq) WHERE (kind <> 'settle'::text);

CREATE INDEX notices_to_send ON public.notices USING btree (due_at, id) WHERE (sent_at IS NULL);

CREATE INDEX organisations_of_shard ON public.organisations USING btree (((id & (15)::bigint)), id);

CREATE INDEX outbox_broadcast_waiting ON public.outbox USING btree (broadcast_id, due_at, id) WHERE ((state = 'waiting'::text) AND (broadcast_id IS NOT NULL));

CREATE INDEX outbox_ended ON public.outbox USING btree (ended_at) WHERE (state <> 'waiting'::text);

CREATE INDEX outbox_notices ON public.outbox USING btree (due_at, id) WHERE ((state = 'waiting'::text) AND (broadcast_id IS NULL));

CREATE INDEX outbox_notices_of_chat ON public.outbox USING btree (chat_id, id) WHERE ((state = 'waiting'::text) AND (broadcast_id IS NULL));

CREATE INDEX outbox_of_broadcast ON public.outbox USING btree (broadcast_id, state, claims) WHERE (broadcast_id IS NOT NULL);

CREATE INDEX payments_of_account ON public.payments USING btree (account_id, paid_at DESC);

CREATE INDEX payments_refunding ON public.payments USING btree (refund_asked_at) WHERE ((refund_asked_at IS NOT NULL) AND (refunded_at IS NULL));

CREATE INDEX referrals_charge_id_idx ON public.referrals USING btree (charge_id) WHERE (charge_id IS NOT NULL);

CREATE INDEX referrals_referrer_id_settled_at_idx ON public.referrals USING btree (referrer_id, settled_at) WHERE (referrer_nano > 0);

CREATE INDEX requests_by_time ON ONLY public.requests USING brin (created_at);

CREATE INDEX requests_of_account ON ONLY public.requests USING btree (account_id, created_at);

CREATE INDEX requests_default_account_id_created_at_idx ON public.requests_default USING btree (account_id, created_at);

CREATE INDEX requests_default_created_at_idx ON public.requests_default USING brin (created_at);

CREATE INDEX usage_of_account ON ONLY public.usage USING btree (account_id, created_at, transaction_id);

CREATE INDEX usage_default_account_id_created_at_transaction_id_idx ON public.usage_default USING btree (account_id, created_at, transaction_id);

CREATE INDEX usage_of_chats ON ONLY public.usage USING btree (((account_id & (15)::bigint)), created_at DESC) WHERE (source = 'telegram'::text);

CREATE INDEX usage_default_expr_created_at_idx ON public.usage_default USING btree (((account_id & (15)::bigint)), created_at DESC) WHERE (source = 'telegram'::text);

CREATE INDEX usage_hourly_by_hour ON public.usage_hourly USING brin (hour);

ALTER INDEX public.ledger_entries_pkey ATTACH PARTITION public.ledger_entries_default_pkey;

ALTER INDEX public.requests_of_account ATTACH PARTITION public.requests_default_account_id_created_at_idx;

ALTER INDEX public.requests_by_time ATTACH PARTITION public.requests_default_created_at_idx;

ALTER INDEX public.usage_of_account ATTACH PARTITION public.usage_default_account_id_created_at_transaction_id_idx;

ALTER INDEX public.usage_of_chats ATTACH PARTITION public.usage_default_expr_created_at_idx;

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_default_pkey;

CREATE TRIGGER added AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_entries_added();

CREATE TRIGGER added AFTER INSERT ON public.ledger_entries_default REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_entries_added();

CREATE TRIGGER added AFTER INSERT ON public.ledger_transactions REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_transactions_added();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.ledger_transactions FOR EACH ROW EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.usage FOR EACH ROW EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER counted BEFORE UPDATE OF name, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst, budget_day_nano, budget_month_nano, models, allowed_ips, expires_at, revoked_at ON public.api_keys FOR EACH ROW EXECUTE FUNCTION public.api_keys_changed();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.ledger_entries_default FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.ledger_transactions FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.usage FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.usage_default FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only();

CREATE CONSTRAINT TRIGGER sums_to_zero AFTER INSERT ON public.ledger_unbalanced DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.ledger_sums_to_zero();

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_organisation_id_fkey FOREIGN KEY (organisation_id) REFERENCES public.organisations(id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_tier_fkey FOREIGN KEY (tier) REFERENCES public.tiers(name);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.credits
    ADD CONSTRAINT credits_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.credits
    ADD CONSTRAINT credits_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.ledger_transactions(id);

ALTER TABLE ONLY public.debits
    ADD CONSTRAINT debits_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.gifts
    ADD CONSTRAINT gifts_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.gifts
    ADD CONSTRAINT gifts_credited_to_fkey FOREIGN KEY (credited_to) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_broadcast_id_fkey FOREIGN KEY (broadcast_id) REFERENCES public.broadcasts(id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.ledger_transactions(id);

ALTER TABLE ONLY public.referrals
    ADD CONSTRAINT referrals_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.referrals
    ADD CONSTRAINT referrals_referrer_id_fkey FOREIGN KEY (referrer_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

GRANT USAGE ON SCHEMA public TO kikuai_app;

REVOKE ALL ON FUNCTION public.ledger_partitions(ahead integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_partitions(ahead integer, at timestamp with time zone) TO kikuai_app;

REVOKE ALL ON FUNCTION public.note_backup(bytes bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.request_log_partitions(keep timestamp with time zone, ahead integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.request_log_partitions(keep timestamp with time zone, ahead integer, at timestamp with time zone) TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(telegram_id) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(status) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(name) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(language) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(settings) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(balance_nano) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(credit_seq) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(ledger_seq) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(ledger_hash) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(budget_day_nano) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(budget_month_nano) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(low_balance_nano) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(met_at) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(projected_at) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(confirmed) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(known) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(tier) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(organisation_id) ON TABLE public.accounts TO kikuai_app;

GRANT UPDATE(limits_seq) ON TABLE public.accounts TO kikuai_app;

GRANT USAGE ON SEQUENCE public.accounts_id_seq TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(name) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(requests_per_minute) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(budget_day_nano) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(budget_month_nano) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(revoked_at) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(projected_at) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(confirmed) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(tokens_per_minute) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(concurrency) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(refill_milli) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(burst) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(models) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(allowed_ips) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(expires_at) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(last_used_at) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(idempotency_key) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(request_hash) ON TABLE public.api_keys TO kikuai_app;

GRANT UPDATE(chat_id) ON TABLE public.api_keys TO kikuai_app;

GRANT USAGE ON SEQUENCE public.api_keys_id_seq TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.audit_log TO kikuai_app;

GRANT USAGE ON SEQUENCE public.audit_log_id_seq TO kikuai_app;

GRANT SELECT ON TABLE public.backups TO kikuai_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.broadcasts TO kikuai_app;

GRANT USAGE ON SEQUENCE public.broadcasts_id_seq TO kikuai_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.card_refunds TO kikuai_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.checkouts TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.credits TO kikuai_app;

GRANT UPDATE(projected_at) ON TABLE public.credits TO kikuai_app;

GRANT UPDATE(confirmed) ON TABLE public.credits TO kikuai_app;

GRANT USAGE ON SEQUENCE public.credits_id_seq TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.debits TO kikuai_app;

GRANT UPDATE(posted_at) ON TABLE public.debits TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.departed TO kikuai_app;

GRANT UPDATE(left_at) ON TABLE public.departed TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.gifts TO kikuai_app;

GRANT UPDATE(expires_at) ON TABLE public.gifts TO kikuai_app;

GRANT UPDATE(settled_at) ON TABLE public.gifts TO kikuai_app;

GRANT UPDATE(credited_to) ON TABLE public.gifts TO kikuai_app;

GRANT UPDATE(transaction_id) ON TABLE public.gifts TO kikuai_app;

GRANT USAGE ON SEQUENCE public.gifts_id_seq TO kikuai_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.jobs TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.ledger_entries TO kikuai_app;

GRANT SELECT ON TABLE public.ledger_entries_default TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.ledger_transactions TO kikuai_app;

GRANT USAGE ON SEQUENCE public.ledger_transactions_id_seq TO kikuai_app;

GRANT SELECT ON TABLE public.ledger_unbalanced TO kikuai_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.notices TO kikuai_app;

GRANT USAGE ON SEQUENCE public.notices_id_seq TO kikuai_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.organisation_days TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(status) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(requests_per_minute) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(tokens_per_minute) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(concurrency) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(refill_milli) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(burst) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(budget_day_nano) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(budget_month_nano) ON TABLE public.organisations TO kikuai_app;

GRANT UPDATE(seq) ON TABLE public.organisations TO kikuai_app;

GRANT USAGE ON SEQUENCE public.organisations_id_seq TO kikuai_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO kikuai_app;

GRANT USAGE ON SEQUENCE public.outbox_id_seq TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.payments TO kikuai_app;

GRANT UPDATE(subscription_until) ON TABLE public.payments TO kikuai_app;

GRANT UPDATE(refund_asked_at) ON TABLE public.payments TO kikuai_app;

GRANT UPDATE(refunded) ON TABLE public.payments TO kikuai_app;

GRANT UPDATE(refunds) ON TABLE public.payments TO kikuai_app;

GRANT UPDATE(refunded_at) ON TABLE public.payments TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.referrals TO kikuai_app;

GRANT UPDATE(settled_at) ON TABLE public.referrals TO kikuai_app;

GRANT UPDATE(charge_id) ON TABLE public.referrals TO kikuai_app;

GRANT UPDATE(referred_nano) ON TABLE public.referrals TO kikuai_app;

GRANT UPDATE(referrer_nano) ON TABLE public.referrals TO kikuai_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.requests TO kikuai_app;

GRANT SELECT ON TABLE public.requests_default TO kikuai_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.settings TO kikuai_app;

GRANT SELECT,UPDATE ON TABLE public.stream_positions TO kikuai_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.subscriptions TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.tiers TO kikuai_app;

GRANT UPDATE(requests_per_minute) ON TABLE public.tiers TO kikuai_app;

GRANT UPDATE(tokens_per_minute) ON TABLE public.tiers TO kikuai_app;

GRANT UPDATE(concurrency) ON TABLE public.tiers TO kikuai_app;

GRANT UPDATE(refill_milli) ON TABLE public.tiers TO kikuai_app;

GRANT UPDATE(burst) ON TABLE public.tiers TO kikuai_app;

GRANT UPDATE(seq) ON TABLE public.tiers TO kikuai_app;

GRANT SELECT,INSERT ON TABLE public.usage TO kikuai_app;

GRANT SELECT ON TABLE public.usage_default TO kikuai_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.usage_hourly TO kikuai_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.usage_quarters TO kikuai_app;
