#!/usr/bin/env bash
# Makes what a host needs beside this checkout and is nobody else's: settings and secrets.
# What is there already stays as it is, so it may be run again. It asks for nothing and
# prints no secret.
#
#   deploy/prepare.sh --name kikuai.example              for compose.yaml: deploy/.env,
#                                                        deploy/kikuai.env, deploy/secrets/
#   deploy/prepare.sh --name kikuai.example --services   for systemd/: all of it in /etc/kikuai
#
# The name is needed the first time alone. It ends with what it could not know: the bot's
# token and the providers' keys.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name='' services=''
# about prints the comment above.
about() { sed -n '2,/^set /s/^# \{0,1\}//p' "$here/${0##*/}"; }
# refuse says why, and how it is called.
refuse() {
	printf 'prepare.sh: %s\n\n' "$1" >&2
	about >&2
	exit 2
}
while (($#)); do
	case $1 in
	--help | -h)
		about
		exit
		;;
	--name)
		[[ -n ${2-} ]] || refuse '--name lacks the name under which this host is reached'
		name=$2
		shift 2
		;;
	--services)
		services=yes
		shift
		;;
	*)
		refuse "there is no option $1"
		;;
	esac
done
if [[ -z $services ]]; then
	dir=${PREPARE_DIR:-$here} shown=deploy mode=0444 named=.env
	has=$(sed -n 's/^SERVER_NAME=//p' "$dir/$named" 2>/dev/null) || true
	rename="set SERVER_NAME in $shown/.env and start the containers anew"
else
	dir=${PREPARE_DIR:-/etc/kikuai} shown=/etc/kikuai mode=0400 named=kikuai.env
	has=$(sed -n 's|^PUBLIC_URL=https://||p' "$dir/$named" 2>/dev/null) || true
	rename="set PUBLIC_URL in $shown/kikuai.env and $shown/front.env, and start the services anew"
fi
[[ -n $name || -e $dir/$named ]] || refuse "--name is missing, and there is no $shown/$named that has it"
if [[ -n $name && -n $has && $name != "$has" ]]; then
	echo "kept: $shown/$named has the name $has, not $name; to change it, $rename"
fi
name=${name:-$has}
umask 077

# once FILE: writes standard input there, unless it is there.
once() {
	local file=$dir/$1
	if [[ -e $file ]]; then
		cat >/dev/null
		return
	fi
	cat >"$file.new"
	mv "$file.new" "$file"
	echo "made $shown/$1"
}
secret() { once "secrets/$1" && chmod "$mode" "$dir/secrets/$1"; }
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
read_secret() { tr -d '\n' <"$dir/secrets/$1"; }
# database ROLE SERVER [PARAMETER]: a role's address of the database.
database() { printf 'postgres://kikuai_%s:%s@%s/kikuai?sslmode=disable%s' "$1" "$(read_secret "$1_password")" "$2" "${3:-}"; }
# ask FILE SECRET [MORE]: says how a secret that is not there is put there.
ask() {
	[[ -e $dir/secrets/$1 ]] || echo "next: printf %s '$2' | install -m $mode /dev/stdin $shown/secrets/$1${3:-}"
}

# Containers' users are none of this host, so their files are readable and the folder lets
# nobody of this host in. Services are given copies, and the files are root's.
mkdir -p "$dir/secrets"
chmod 0700 "$dir/secrets"
for file in owner_password server_password backup_password reader_password redis_password webhook_secret key_pepper; do
	random 32 | secret "$file"
done

if [[ -n $services ]]; then
	chmod 0755 "$dir"
	database server 127.0.0.1:5432 | secret database_url
	database owner 127.0.0.1:5432 | secret owner_url
	printf 'redis://:%s@127.0.0.1:6379/0' "$(read_secret redis_password)" | secret redis_url
	once kikuai.env <<-SETTINGS
		# Settings of the program, as .env.example lists them: what differs, and no secrets.
		PUBLIC_URL=https://$name
	SETTINGS
	once front.env <<-SETTINGS
		# Settings of nginx, as nginx/README.md lists them.
		PUBLIC_URL=https://$name
		FRONT_UPSTREAMS="127.0.0.1:8081 127.0.0.1:8082"
	SETTINGS
	{
		cat "$here/redis/redis.conf"
		printf '\n# This host.\nbind 127.0.0.1\ndir /var/lib/redis\nmaxmemory 1gb\nrequirepass %s\n' "$(read_secret redis_password)"
	} | once redis.conf
	ask telegram_bot_token TOKEN
	ask openai_api_key KEY ', or another provider, named in providers.conf'
	exit
fi

for file in postgres_password cache_password grafana_password; do
	random 32 | secret "$file"
done
# PgBouncer lends connections for a transaction; migrations go past it.
database server pgbouncer:6432 '&default_query_exec_mode=exec' | secret database_url
database owner postgres:5432 | secret owner_url
printf 'redis://:%s@redis:6379/0' "$(read_secret redis_password)" | secret redis_url
printf 'redis://:%s@cache:6379/0' "$(read_secret cache_password)" | secret cache_url
sed "s|kikuai\.example|$name|g" "$here/compose.env.example" | once .env
once kikuai.env <<'SETTINGS'
# Settings of the program beyond those in compose.yaml: .env.example lists them all.
# A provider's key goes into secrets/providers/NAME and is named here:
#OPENAI_API_KEY_FILE=/run/providers/openai
#ANTHROPIC_API_KEY_FILE=/run/providers/anthropic
SETTINGS
mkdir -p "$dir/secrets/providers"
chmod 0755 "$dir/secrets/providers"
ask telegram_bot_token TOKEN
[[ -n $(ls -A "$dir/secrets/providers") ]] || ask providers/openai KEY ', and name it in deploy/kikuai.env'
backups=$(sed -n 's/^BACKUP_DIR=//p' "$dir/.env")
[[ -d $backups ]] || echo "next: install -d -m 0700 -o 999 -g 999 $backups"
