-- Expands.

-- +goose Up

-- An account's calls by time: for lists and exports of them, and for sums whose edges are
-- inside an hour.
create index usage_of_account on usage (account_id, created_at, transaction_id);

-- An account's movements without its calls, which are nearly all of them.
create index ledger_transactions_not_calls on ledger_transactions (account_id, account_seq) where kind <> 'settle';

-- A file beside a message's words, until it was sent.
alter table outbox add file_name text check (char_length(file_name) between 1 and 100);
alter table outbox add file bytea check (octet_length(file) <= 16777216);
alter table outbox add constraint outbox_file_named check ((file is null) = (file_name is null) and (file is null or message is not null));

-- +goose Down

alter table outbox drop constraint outbox_file_named, drop column file, drop column file_name;
drop index ledger_transactions_not_calls, usage_of_account;
