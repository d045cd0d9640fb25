#!/usr/bin/env bash
# restore.sh [--base NAME] [--at TIME] BACKUP_DIR DATA_DIR: makes a data directory of a base
# backup and of the log received since, up to its end, or to TIME (with a zone, as in
# '2026-11-22 04:15:00 UTC'). Postgres, of the backup's version, does the rest when it is
# started on DATA_DIR. Run it as the user who runs Postgres. It never writes into what is
# there: neither into BACKUP_DIR nor into a DATA_DIR that holds anything.
set -euo pipefail
umask 077
. "$(dirname "$0")/tools.sh"

base='' at=''
while [[ ${1:-} == --* ]]; do
	case $1 in
	--base) base=${2:?a name such as base-20261122T041500Z} ;;
	--at) at=${2:?a moment such as '2026-11-22 04:15:00 UTC'} ;;
	*) fail "there is no option $1" ;;
	esac
	shift 2
done
(($# == 2)) || fail "usage: restore.sh [--base NAME] [--at TIME] BACKUP_DIR DATA_DIR"
dir=$(realpath -e "$1") || fail "there is no folder $1"
data=$(realpath -m "$2")
[[ $dir != *[\'\"\\%]* ]] || fail "the path $dir has a sign that Postgres' settings cannot hold"
[[ ! -e $data || -z $(ls -A "$data") ]] || fail "$data is not empty: name a new folder, nothing is overwritten"

if [[ -n $at ]]; then
	before=$(date -u -d "$at" +%Y%m%dT%H%M%SZ) || fail "$at is no moment: write it as '2026-11-22 04:15:00 UTC'"
	target=$(date -u -d "$at" '+%Y-%m-%d %H:%M:%S.%6N+00')
fi
if [[ -z $base ]]; then
	for path in "$dir"/base-*; do # in the order of their times
		[[ -d $path ]] || fail "there is no backup in $dir"
		[[ -z $at || ! $(basename "$path") > base-$before ]] && base=$(basename "$path")
	done
	[[ -n $base ]] || fail "no backup in $dir was finished before $at"
fi
from=$dir/$base
[[ -d $from ]] || fail "there is no backup $from"
(cd "$from" && sha256sum --strict --quiet -c SHA256SUMS) || fail "$from is damaged: choose another one with --base"
major=$("$(tool postgres)" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[[ $major == "$(<"$from/PG_VERSION")" ]] ||
	fail "the backup is of Postgres $(<"$from/PG_VERSION") and here is $major: PGBIN names the folder of the right one"

mkdir -p "$data"
chmod 0700 "$data"
tar -xzf "$from/base.tar.gz" -C "$data"
tar -xzf "$from/pg_wal.tar.gz" -C "$data/pg_wal"
cp "$from/backup_manifest" "$data/"
"$(tool pg_verifybackup)" --no-parse-wal --quiet "$data"
rm "$data/backup_manifest"

{
	printf '\n# %s, restored\n' "$base"
	# The last segment is not full and ends in .partial.
	printf "restore_command = 'cp \"%s/wal/%%f\" \"%%p\" 2>/dev/null || cp \"%s/wal/%%f.partial\" \"%%p\" 2>/dev/null'\n" "$dir" "$dir"
	printf "recovery_target_timeline = 'latest'\nrecovery_target_action = 'promote'\n"
	[[ -z $at ]] || printf "recovery_target_time = '%s'\n" "$target"
} >>"$data/postgresql.auto.conf"
# Debian's packages keep the settings in /etc/postgresql, so no backup holds them. These
# count where Postgres is started without those.
if [[ ! -e $data/postgresql.conf ]]; then
	printf 'hot_standby = off\n' >"$data/postgresql.conf"
	printf 'local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n' >"$data/pg_hba.conf"
	: >"$data/pg_ident.conf"
fi
touch "$data/recovery.signal"
sync -f "$data"
what='all that was received since'
[[ -z $at ]] || what="what followed until $at"

cat <<NEXT
$data is $base and $what.
Next: start Postgres on it, wait until it takes writes, then with no server running
  kikuai admin rebuild      # what Redis holds is newer than these books, or older
start the servers, and
  kikuai admin reconcile    # says 0 differences
Let wal.sh and backup.sh begin anew in an empty folder: the log has branched here.
NEXT
