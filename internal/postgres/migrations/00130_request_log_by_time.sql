-- Expands: one index stands in for another.
-- Requests are found by time only where old ones are forgotten, and come in nearly their own
-- order: a BRIN index does, and costs a request next to nothing. While it is built the log takes no rows: they are
-- dropped and counted, and nothing else waits.

-- +goose Up
drop index requests_by_time;
create index requests_by_time on requests using brin (created_at);

-- +goose Down
drop index requests_by_time;
create index requests_by_time on requests (created_at);
