-- Expands.

-- +goose Up

-- SHA-256 of what a message's name was wished for with: the same name with another wish is
-- a mistake of who wishes.
alter table outbox add wish bytea check (octet_length(wish) = 32);

-- +goose Down

alter table outbox drop column wish;
