-- Posts one transaction: kind, account, reference, memo, books and amounts. The caller
-- holds the account's lock.
with next as materialized (
    select nextval('ledger_transactions_id_seq') as id, a.id as account_id, a.ledger_seq + 1 as account_seq,
        a.ledger_hash as head, now() as created_at
    from accounts a where a.id = $2
), linked as materialized (
    select n.*, ledger_link(null, head, ledger_bytes(id, account_id, account_seq, $1::text, $3::text,
        null, null, null, null, $4::jsonb, created_at, $5::text[], $6::bigint[])) as hash
    from next n
), posted as (
    insert into ledger_transactions (id, kind, account_id, account_seq, reference, memo, hash, created_at)
    select id, $1::text, account_id, account_seq, $3::text, $4::jsonb, hash, created_at from linked
), entered as (
    insert into ledger_entries (transaction_id, position, account_id, book, amount_nano, created_at)
    select l.id, v.position, l.account_id, v.book, v.amount, l.created_at
    from linked l cross join unnest($5::text[], $6::bigint[]) with ordinality v (book, amount, position)
), balanced as (
    update accounts a set ledger_seq = l.account_seq, ledger_hash = l.hash, balance_nano = a.balance_nano
        + (select coalesce(sum(amount), 0) from unnest($5::text[], $6::bigint[]) v (book, amount) where book = 'customer')
    from linked l where a.id = l.account_id
)
select id from linked
