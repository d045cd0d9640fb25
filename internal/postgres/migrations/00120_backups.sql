-- Expands.

-- +goose Up

-- When base backups of this database were finished, so that every server
-- can show how old the newest is. deploy/postgres/backup.sh notes them. No book: the newest
-- hundred stay.
create table backups (
    finished_at timestamptz primary key default clock_timestamp(),
    bytes       bigint not null check (bytes > 0)
);

-- note_backup notes that a backup of so many bytes is finished. It runs with its owner's
-- rights: who makes backups reads and writes no table.

-- +goose StatementBegin
create function note_backup(bytes bigint)
    returns void language sql security definer
    set search_path = public, pg_temp as $$
    insert into backups (bytes) values (note_backup.bytes);
    delete from backups where finished_at <
        (select min(finished_at) from (select finished_at from backups order by finished_at desc limit 100) newest);
$$;
-- +goose StatementEnd

revoke execute on function note_backup from public;
