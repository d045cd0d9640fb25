-- Expands.

-- +goose Up

-- What an account's owner chose in the bot. Defaults are empty, zero and false; a row is
-- made with the first choice and removed when the owner leaves.
create table settings (
    account_id    bigint primary key references accounts (id),
    language      text not null default '' check (char_length(language) <= 35), -- '': as Telegram says
    model         text not null default '' check (char_length(model) <= 128), -- '': the house's
    favourites    text[] not null default '{}' check (cardinality(favourites) <= 16 and array_position(favourites, null) is null),
    persona       text not null default '' check (char_length(persona) <= 4096),
    zone          text not null default '' check (char_length(zone) <= 64), -- an IANA name; '': UTC
    hide_cost     boolean not null default false, -- no line of cost under answers
    mute_low      boolean not null default false, -- no notice of a low balance
    mute_news     boolean not null default false, -- no broadcasts
    long_as_file  boolean not null default false,
    rich          boolean not null default false,
    forget_after  integer not null default 0 check (forget_after between 0 and 2592000), -- seconds; 0: the house's
    changed_at    timestamptz not null default now()
);

-- +goose Down

drop table settings;
