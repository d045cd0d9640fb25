# What backup.sh, wal.sh and restore.sh have in common; they read it in.

fail() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# tool NAME is the path of one of Postgres' programs: of PGBIN, else of the newest version
# that Debian's packages brought, else of PATH.
tool() {
	local dir
	if [[ -n ${PGBIN:-} ]]; then
		printf '%s\n' "$PGBIN/$1"
		return
	fi
	dir=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	if [[ -x $dir/$1 ]]; then
		printf '%s\n' "$dir/$1"
		return
	fi
	command -v "$1" || fail "$1 is not installed: it comes with Postgres (PGBIN names its folder)"
}
