-- Who may do what. Run once by a superuser, before the first `kikuai migrate`, on a
-- database named kikuai; running it again sets the passwords anew and changes nothing else:
--
--   OWNER_PASSWORD_FILE=… SERVER_PASSWORD_FILE=… BACKUP_PASSWORD_FILE=… READER_PASSWORD_FILE=… \
--     psql -X -v ON_ERROR_STOP=1 -d kikuai -f roles.sql
--
-- Passwords come from files, so that no list of processes shows them.
--
--   kikuai_owner    owns the schema; `kikuai migrate` alone logs in as it
--   kikuai_app      no login; the rights of the program (internal/postgres/afterwards.sql):
--                   add to the ledger, never change it
--   kikuai_server   what servers and admin commands log in as: kikuai_app's rights, no more,
--                   which holds behind a pooler too
--   kikuai_backup   base backups and the log of changes; reads no table by SQL, and may
--                   note in the database that a backup is finished
--   kikuai_reader   reads sums and states, no names, keys or texts (reader.sql)

\set owner_password `cat "$OWNER_PASSWORD_FILE"`
\set server_password `cat "$SERVER_PASSWORD_FILE"`
\set backup_password `cat "$BACKUP_PASSWORD_FILE"`
\set reader_password `cat "$READER_PASSWORD_FILE"`

do $$
declare
    name text;
begin
    foreach name in array '{kikuai_app,kikuai_owner,kikuai_server,kikuai_backup,kikuai_reader}'::text[] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
end $$;

alter role kikuai_owner login password :'owner_password';
alter role kikuai_server login password :'server_password';
alter role kikuai_backup login replication password :'backup_password';
alter role kikuai_reader login password :'reader_password';

grant kikuai_app to kikuai_owner;
grant kikuai_app to kikuai_server;

-- A transaction that somebody left open holds up the cleaning of all tables.
alter role kikuai_server set idle_in_transaction_session_timeout = '10min';
alter role kikuai_reader set statement_timeout = '1min';
alter role kikuai_reader set default_transaction_read_only = on;

alter database kikuai owner to kikuai_owner;
alter schema public owner to kikuai_owner;
revoke all on schema public from public;
revoke all on database kikuai from public;
grant connect on database kikuai to kikuai_server, kikuai_reader;
