#!/bin/sh
# start.sh NAME.conf [directive value]...: runs redis-server with a configuration of this
# folder and the password of the file that PASSWORD_FILE names. The password goes in by
# standard input, so no list of processes shows it.
set -eu
conf=$(dirname "$0")/$1
shift
: "${PASSWORD_FILE:?names the file with the password}"
password=$(cat "$PASSWORD_FILE")
case $password in
'' | *[!A-Za-z0-9_-]*)
	echo "$PASSWORD_FILE must hold a password of A-Za-z0-9_-" >&2
	exit 1
	;;
esac
directives=
while [ $# -ge 2 ]; do
	directives="$directives$1 $2
"
	shift 2
done
# In place of this shell, so that who stops it stops Redis.
exec redis-server - <<END
$(cat "$conf")
requirepass $password
$directives
END
