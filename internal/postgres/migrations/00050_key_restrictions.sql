-- Expands: the trigger that is made anew counts more columns.

-- +goose Up

-- What a key may be used for; null: anything, from anywhere, for ever. A model is an id,
-- or the beginning of one followed by '*'. last_used_at is at most a minute old, by the
-- ledger. A key that a request made remembers what the request asked for.
alter table api_keys
    add models text[] check (cardinality(models) between 1 and 64 and array_position(models, null) is null),
    add allowed_ips cidr[] check (cardinality(allowed_ips) between 1 and 32 and array_position(allowed_ips, null) is null),
    add expires_at timestamptz,
    add last_used_at timestamptz,
    add idempotency_key text check (char_length(idempotency_key) between 1 and 200),
    add request_hash bytea check (octet_length(request_hash) = 32),
    add constraint api_keys_request_check check ((idempotency_key is null) = (request_hash is null));

create unique index api_keys_of_request on api_keys (account_id, idempotency_key) where idempotency_key is not null;

drop trigger counted on api_keys;
create trigger counted before update of name, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst,
    budget_day_nano, budget_month_nano, models, allowed_ips, expires_at, revoked_at
    on api_keys for each row execute function api_keys_changed();

-- +goose Down

drop trigger counted on api_keys;
create trigger counted before update of name, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst,
    budget_day_nano, budget_month_nano, revoked_at on api_keys for each row execute function api_keys_changed();
alter table api_keys drop models, drop allowed_ips, drop expires_at, drop last_used_at, drop idempotency_key, drop request_hash;
