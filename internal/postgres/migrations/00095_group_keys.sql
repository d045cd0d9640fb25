-- Expands.

-- +goose Up

-- The group at Telegram whose questions the key pays for; null: whoever presents the key.
-- Nobody can present a group's key, and a group has one at a time.
alter table api_keys add chat_id bigint check (chat_id <> 0),
    add constraint api_keys_chat_check check (chat_id is null or revoked_at is not null or budget_day_nano is not null);
create unique index api_keys_chat_id_idx on api_keys (chat_id) where chat_id is not null and revoked_at is null;

-- +goose Down

alter table api_keys drop chat_id;
