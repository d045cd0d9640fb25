-- Expands.

-- +goose Up

-- What a call cost beyond what its account is charged, which is written off where the
-- debit is posted.
alter table debits add beyond_nano bigint not null default 0 check (beyond_nano >= 0);

-- +goose Down

alter table debits drop column beyond_nano;
