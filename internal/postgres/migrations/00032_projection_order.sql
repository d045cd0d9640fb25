-- Expands.

-- +goose Up

-- seq counts the changes of a key that Redis is told of, whoever makes them: of two
-- words about a key Redis hears the later one, whichever comes last. For accounts
-- limits_seq does it.
alter table api_keys add seq bigint not null default 0 check (seq >= 0);

-- +goose StatementBegin
create function api_keys_changed() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
    new.seq = old.seq + 1;
    return new;
end $$;
-- +goose StatementEnd

create trigger counted before update of name, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst,
    budget_day_nano, budget_month_nano, revoked_at on api_keys for each row execute function api_keys_changed();

-- +goose Down

drop trigger counted on api_keys;
drop function api_keys_changed;
alter table api_keys drop column seq;
