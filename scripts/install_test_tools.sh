#!/bin/sh
# Installs the Debian packages that tests (`test`) or the benchmark (`bench`) start servers
# from. As root on Debian only; elsewhere it does nothing, and the tests that lack something
# say so in their summary. No service is started: tests start their own, in their own folders.
set -eu

case "${1:-}" in
test) wanted="mariadb-server postgresql chromium util-linux" ;;
bench) wanted="nginx-light apache2-utils wrk" ;;
*)
    echo "usage: $0 test|bench" >&2
    exit 2
    ;;
esac

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

missing=""
for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

# Asked by every Debian package before it starts a service; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

log="$(mktemp)"
export DEBIAN_FRONTEND=noninteractive
echo "Installing$missing ..." >&2
apt-get update -q >"$log" 2>&1 || true
failed=""
for package in $missing; do
    apt-get install -q -y --no-install-recommends "$package" >>"$log" 2>&1 || failed="$failed $package"
done
[ -z "$failed" ] ||
    echo "warning: could not install$failed ($log says why); what needs them is left out" >&2
