-- Expands.

-- +goose Up

-- Who was active lately is counted without reading all usage there ever was. Hours come
-- in nearly their own order, which is all this needs.
create index usage_hourly_by_hour on usage_hourly using brin (hour);

-- +goose Down

drop index usage_hourly_by_hour;
