-- Expands.

-- +goose Up

-- A shard that Redis lost is rebuilt with the chats' resolved holds of the last days,
-- and must find them among the usage of all months.
create index usage_of_chats on usage ((account_id & 15), created_at desc) where source = 'telegram';

-- +goose Down

drop index usage_of_chats;
