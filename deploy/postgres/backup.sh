#!/usr/bin/env bash
# backup.sh: one base backup of the whole cluster into BACKUP_DIR/base-<UTC time>, checked,
# with checksums; then those beyond the newest BACKUP_KEEP (7) go, and the received log
# (wal.sh) that only they needed.
#
#   backup.sh                one backup
#   backup.sh --every 86400  one after the other, so many seconds apart
#
# It connects as kikuai_backup, by libpq's variables: PGHOST, PGPORT, PGUSER and PGPASSFILE
# (or PASSWORD_FILE, which holds the password alone). BACKUP_HOOK names a program that is
# given the path of each finished backup: to encrypt it and take it to another place.
# A backup that is finished, and there, is noted in the database (PGDATABASE, else kikuai),
# so that servers show how old the newest one is.
set -euo pipefail
umask 077
. "$(dirname "$0")/tools.sh"

if [[ ${1:-} == --every ]]; then
	trap 'exit 0' TERM INT
	while :; do
		pause=${2:?seconds between two backups}
		"$0" || pause=600 # a failure is tried again sooner than a day later
		sleep "$pause" &
		wait $!
	done
fi

dir=${BACKUP_DIR:?names the folder of the backups, on another disk than the database}
keep=${BACKUP_KEEP:-7}
[[ $keep =~ ^[1-9][0-9]*$ ]] || fail "BACKUP_KEEP is $keep: it says how many backups are kept, one or more"
[[ -d $dir ]] || fail "there is no folder $dir: is its disk mounted?"
export PGUSER=${PGUSER:-kikuai_backup} PGAPPNAME=kikuai_base
[[ -z ${PASSWORD_FILE:-} ]] || PGPASSWORD=$(<"$PASSWORD_FILE")
[[ -z ${PGPASSWORD:-} ]] || export PGPASSWORD

exec 9>"$dir/.lock"
flock -n 9 || fail "another backup is being made in $dir"
rm -rf "$dir"/.unfinished-* # of one that was cut off

work=$(mktemp -d "$dir/.unfinished-XXXXXX")
trap 'rm -rf "$work"' EXIT
"$(tool pg_basebackup)" --no-password --pgdata "$work" --format tar --gzip --wal-method stream \
	--checkpoint fast --manifest-checksums SHA256 --label kikuai
[[ $(cd "$work" && echo *.tar.gz) == "base.tar.gz pg_wal.tar.gz" ]] ||
	fail "the cluster has tablespaces, which restore.sh does not know"
gzip -t "$work"/*.gz
# The first segment of the log without which this backup is none.
tar -xzOf "$work/base.tar.gz" backup_label | sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]\{24\}\))$/\1/p' >"$work/START"
[[ -s $work/START ]] || fail "the backup does not say where it begins"
tar -xzOf "$work/base.tar.gz" PG_VERSION >"$work/PG_VERSION"
(cd "$work" && sha256sum -- *.tar.gz backup_manifest START PG_VERSION >SHA256SUMS)
sync -f "$work/SHA256SUMS"
while name=base-$(date -u +%Y%m%dT%H%M%SZ) && [[ -e $dir/$name ]]; do
	sleep 0.2
done
mv -T "$work" "$dir/$name"
sync -f "$dir"
trap - EXIT

mapfile -t kept < <(cd "$dir" && printf '%s\n' base-* | sort)
while ((${#kept[@]} > keep)); do
	rm -rf "${dir:?}/${kept[0]}"
	kept=("${kept[@]:1}")
done
if [[ -d $dir/wal ]]; then
	"$(tool pg_archivecleanup)" "$dir/wal" "$(<"$dir/${kept[0]}/START")"
fi

size=$(du -sb "$dir/$name" | cut -f 1)
[[ -z ${BACKUP_HOOK:-} ]] || "$BACKUP_HOOK" "$dir/$name" 9>&- ||
	fail "$dir/$name is whole, but BACKUP_HOOK failed: it is here and nowhere else"
"$(tool psql)" -X -q -w -v ON_ERROR_STOP=1 -d "${PGDATABASE:-kikuai}" -c "select note_backup($size)" >/dev/null ||
	printf '%s is whole, but the database was not told of it: servers go on showing the one before\n' "$dir/$name" >&2
printf '%s: %d KB; kept: %d\n' "$dir/$name" "$((size / 1024))" "${#kept[@]}"
