#!/usr/bin/env bash
# wal.sh: receives Postgres' log of changes as it is written, into BACKUP_DIR/wal. With it
# a restore loses less than a second, and can stop at any moment since the oldest backup
# that is kept.
#
# It connects as kikuai_backup, by libpq's variables: PGHOST, PGPORT, PGUSER and PGPASSFILE
# (or PASSWORD_FILE, which holds the password alone). The slot BACKUP_SLOT (kikuai_backup)
# has Postgres keep what was not received yet, at most max_slot_wal_keep_size of it.
# Runs until it is told to end; whoever supervises it starts it again.
set -euo pipefail
umask 077
. "$(dirname "$0")/tools.sh"
dir=${BACKUP_DIR:?names the folder of the backups, on another disk than the database}
slot=${BACKUP_SLOT:-kikuai_backup}
export PGUSER=${PGUSER:-kikuai_backup} PGAPPNAME=kikuai_wal
[[ -z ${PASSWORD_FILE:-} ]] || PGPASSWORD=$(<"$PASSWORD_FILE")
[[ -z ${PGPASSWORD:-} ]] || export PGPASSWORD
[[ -d $dir ]] || fail "there is no folder $dir: is its disk mounted?"

mkdir -p "$dir/wal"
receive=$(tool pg_receivewal)
"$receive" --no-password --slot "$slot" --create-slot --if-not-exists
exec "$receive" --no-password --slot "$slot" --directory "$dir/wal" --synchronous
