#!/usr/bin/env bash
# create.sh [SECRETS]: makes the database kikuai and its roles (roles.sql) in the Postgres
# of this host, with the passwords in the folder SECRETS (/etc/kikuai/secrets). Run as root,
# who alone may read them; Postgres is reached as its superuser postgres, by libpq's
# variables. What is there already stays, so it may be run again: passwords are set anew.
set -euo pipefail
umask 077
. "$(dirname "$0")/tools.sh"
secrets=${1:-/etc/kikuai/secrets}
user=${PGUSER:-postgres}

# psql reads the passwords itself, so that no list of processes shows them, and as postgres,
# who is given copies.
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
cp "$(dirname "$0")/roles.sql" "$secrets"/{owner,server,backup,reader}_password "$copies"
as=()
if ((EUID == 0)) && id -u "$user" >/dev/null 2>&1; then
	chown -R "$user" "$copies"
	as=(runuser -u "$user" --)
fi
cd "$copies"
psql() { "${as[@]}" "$(tool psql)" -X -q -v ON_ERROR_STOP=1 -U "$user" "$@"; }

[[ -n $(psql -d postgres -Atc "select 1 from pg_database where datname = 'kikuai'") ]] ||
	psql -d postgres -c 'create database kikuai'
for role in owner server backup reader; do
	export "${role^^}_PASSWORD_FILE=$copies/${role}_password"
done
psql -d kikuai -f roles.sql
# What the receiver of the log has not had is kept, but never so that the disk is full.
psql -d postgres -c "alter system set max_slot_wal_keep_size = '8GB'" -c 'select pg_reload_conf()' >/dev/null
echo "kikuai and its roles are there; next: kikuai migrate"
