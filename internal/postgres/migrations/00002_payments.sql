-- Expands: part of the first schema, on less than which no server ran.

-- +goose Up

-- A debit that Postgres decided and Redis is to take: the shard's owner takes it
-- there, once, and it comes back as an event. reference is the transaction's:
-- 'hold:<id>' for a call whose hold Redis lost, 'refund:<charge>' for a refund.
-- Settled when the ledger has a transaction of that reference.
create table debits (
    reference   text primary key check (char_length(reference) between 1 and 400),
    account_id  bigint not null references accounts (id),
    kind        text not null check (kind in ('settle', 'refund')),
    amount_nano bigint not null check (amount_nano > 0),
    key_id      bigint not null default 0,
    book        text not null,
    details     jsonb not null default '{}',
    created_at  timestamptz not null default now(),
    posted_at   timestamptz,
    -- What Redis appends for it must be readable, or its shard stands still.
    check (case kind when 'settle' then book = 'revenue' and reference like 'hold:%'
        else book in ('promotion', 'adjustment', 'stars', 'card') and reference not like 'hold:%' end)
);

create index debits_to_take on debits ((account_id & 15), created_at) where posted_at is null;

-- One row per charge of a customer: Telegram's telegram_payment_charge_id, or the
-- card provider's payment. amount is in the currency's smallest unit.
create table payments (
    charge_id          text primary key check (char_length(charge_id) between 1 and 200),
    provider           text not null check (provider in ('stars', 'card')),
    account_id         bigint not null references accounts (id),
    amount             bigint not null check (amount > 0),
    currency           text not null check (currency in ('XTR', 'USD')),
    credit_nano        bigint not null check (credit_nano > 0),
    transaction_id     bigint not null references ledger_transactions (id),
    subscription_until timestamptz,
    paid_at            timestamptz not null default now(),
    refund_asked_at    timestamptz,
    -- What was given back so far, in how many parts: the first is the transaction
    -- 'refund:<charge>', the n-th 'refund:<charge>:<n>'. refunded_at: all of it.
    refunded           bigint not null default 0 check (refunded between 0 and amount),
    refunds            integer not null default 0 check (refunds >= 0),
    refunded_at        timestamptz
);

create index payments_of_account on payments (account_id, paid_at desc);
create index payments_refunding on payments (refund_asked_at) where refund_asked_at is not null and refunded_at is null;

-- The running monthly top-up of an account, one at most.
create table subscriptions (
    account_id bigint primary key references accounts (id),
    charge_id  text not null,
    stars      bigint not null check (stars > 0),
    paid_until timestamptz not null,
    state      text not null check (state in ('active', 'canceled', 'stopped', 'failed')),
    updated_at timestamptz not null default now()
);

-- A payment that was begun over the API. amount is in cents, or in Stars. request_hash makes idempotency_key safe to repeat;
-- attempt numbers what the provider was asked, url is the page that it opened.
create table checkouts (
    id              text primary key check (char_length(id) between 1 and 64),
    account_id      bigint not null references accounts (id),
    idempotency_key text not null check (char_length(idempotency_key) between 1 and 200),
    request_hash    bytea not null check (octet_length(request_hash) = 32),
    provider        text not null check (provider in ('stars', 'card')),
    amount          bigint not null check (amount > 0),
    credit_nano     bigint not null check (credit_nano > 0),
    attempt         integer not null default 1 check (attempt > 0),
    url             text not null default '',
    charge_id       text,                        -- that was credited for it last
    refused         text[] not null default '{}', -- that were paid otherwise than begun
    created_at      timestamptz not null default now(),
    unique (account_id, idempotency_key)
);

-- How much of a card charge was given back, in cents, as the provider told it: perhaps
-- before it told that the charge was paid.
create table card_refunds (
    charge_id  text primary key check (char_length(charge_id) between 1 and 200),
    told       bigint not null default 0 check (told >= 0),
    updated_at timestamptz not null default now()
);

-- +goose Down

drop table card_refunds, checkouts, subscriptions, payments, debits;
