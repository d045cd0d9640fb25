#!/usr/bin/env bash
# Run by the Postgres image when it makes a new cluster: roles, and the right of
# kikuai_backup to read the log of changes.
set -euo pipefail
psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f /etc/kikuai/roles.sql
printf 'host replication kikuai_backup all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
