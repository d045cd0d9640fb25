#!/usr/bin/env bash
# Starts PgBouncer before the database of DATABASE_HOST (default postgres:5432). The
# servers' password comes from the file that SERVER_PASSWORD_FILE names and goes into a
# file of PgBouncer's own, in RUNTIME_DIR, which nobody else can read.
set -euo pipefail
umask 077
template=${PGBOUNCER_INI:-/etc/kikuai/pgbouncer.ini}
runtime=${RUNTIME_DIR:-/run/pgbouncer}
host=${DATABASE_HOST:-postgres}
port=${DATABASE_PORT:-5432}
password=$(<"${SERVER_PASSWORD_FILE:?names the file with the password of kikuai_server}")
[[ -n $password ]] || {
	echo "$SERVER_PASSWORD_FILE is empty: it holds the password of kikuai_server" >&2
	exit 1
}

printf '"kikuai_server" "%s"\n' "${password//\"/\"\"}" >"$runtime/userlist.txt"
sed -e "s|@HOST@|$host|; s|@PORT@|$port|; s|@RUNTIME@|$runtime|; s|@LISTEN@|${LISTEN_HOST:-0.0.0.0}|; s|@LISTEN_PORT@|${LISTEN_PORT:-6432}|" \
	"$template" >"$runtime/pgbouncer.ini"
exec "$(command -v pgbouncer || echo /usr/sbin/pgbouncer)" "$runtime/pgbouncer.ini"
