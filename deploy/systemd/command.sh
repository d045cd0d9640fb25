#!/bin/sh
# Runs a command of kikuai with a server's settings and secrets, as root:
#   /usr/local/lib/kikuai/command.sh doctor
#   /usr/local/lib/kikuai/command.sh admin reconcile
set -eu
dir=${KIKUAI_DIR:-/etc/kikuai}

# A line NAME=value, in quotes or not, as systemd reads it.
while IFS= read -r line || [ -n "$line" ]; do
	value=${line#*=}
	case $value in
	\"*\") value=${value#\"} value=${value%\"} ;;
	\'*\') value=${value#\'} value=${value%\'} ;;
	esac
	case $line in
	[A-Z]*=*) export "${line%%=*}=$value" ;;
	esac
done <"$dir/kikuai.env"

# Of the files there, those that servers are given: not the owner's, nor passwords.
for file in "$dir"/secrets/*; do
	name=$(basename "$file")
	case $name in
	owner_url | *_password) ;;
	*)
		setting=$(printf %s "$name" | tr '[:lower:]' '[:upper:]')
		unset "$setting" # of the shell that this is run in
		export "${setting}_FILE=$file"
		;;
	esac
done
exec kikuai "$@"
