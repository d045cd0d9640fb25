-- Expands.

-- +goose Up

-- Disputes of a card payment, by the provider's id of each: what was lost by it, in
-- cents; 0 while it is open, or won.
alter table card_refunds add column disputes jsonb not null default '{}' check (jsonb_typeof(disputes) = 'object');

-- +goose Down

alter table card_refunds drop column disputes;
