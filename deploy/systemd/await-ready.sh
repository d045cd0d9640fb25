#!/bin/sh
# Run by kikuai@.service after the server was started: systemctl start returns once it can
# serve, so that `systemctl restart kikuai@1 && systemctl restart kikuai@2` never stops both.
set -eu
tries=110
until /usr/local/bin/kikuai health --ready >/dev/null 2>&1; do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || {
		/usr/local/bin/kikuai health --ready || true
		exit 1
	}
	sleep 1
done
