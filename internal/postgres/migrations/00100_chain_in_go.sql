-- Contracts: servers of before link events by ledger_chain. The hashes of posted events are
-- computed where the events are; transactions that Postgres itself decides are linked one
-- at a time, by ledger_link.

-- +goose Up
drop aggregate ledger_chain(bytea, bytea);

-- +goose Down
create aggregate ledger_chain(head bytea, bytes bytea) (sfunc = ledger_link, stype = bytea);
