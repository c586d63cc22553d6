#!/bin/sh
# Makes .venv and installs this checkout into it: `scripts/install.sh [EXTRA]`.
# Does nothing where that was done before and pyproject.toml has not changed since.
# PYTHON names the interpreter; otherwise `python3` is taken.
set -eu

cd "$(dirname "$0")/.."
extra="${1:-}"
python="${PYTHON:-python3}"
done_file=".venv/.installed${extra:+-$extra}"
log=".venv/install.log"

fail() {
    echo "error: $1" >&2
    exit 1
}

check_python() {
    command -v "$python" >/dev/null || fail "there is no $python. Install Python 3.11 or newer."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old: Headgate needs Python 3.11 or newer.
Name another with: make PYTHON=/path/to/python3.11 ..."
}

# Runs a command with its output in the log. In a terminal something turns meanwhile.
quietly() {
    what="$1"
    shift
    if [ ! -t 2 ]; then
        echo "$what ..." >&2
        "$@" >>"$log" 2>&1 || stop_with_log "$what"
        return
    fi
    "$@" >>"$log" 2>&1 &
    child=$!
    trap 'kill "$child" 2>/dev/null; echo >&2; exit 130' INT
    started=$(date +%s)
    while kill -0 "$child" 2>/dev/null; do
        for sign in '|' '/' '-' '\'; do
            printf '\r%s %s (%s s) ' "$sign" "$what" "$(($(date +%s) - started))" >&2
            sleep 0.2
        done
    done
    trap - INT
    printf '\r\033[K' >&2
    wait "$child" || stop_with_log "$what"
}

stop_with_log() {
    tail -n 15 "$log" >&2
    fail "$1 failed; the whole story is in $log"
}

check_python
checksum="$(cksum <pyproject.toml) $("$python" --version)"
for earlier in "$done_file" .venv/.installed-dev; do
    [ -f "$earlier" ] && [ "$(cat "$earlier")" = "$checksum" ] && exit 0
done
if [ ! -x .venv/bin/python ]; then
    rm -rf .venv
    "$python" -m venv .venv 2>/dev/null >&2 || fail "$python cannot make .venv.
On Debian and Ubuntu: apt-get install python3-venv"
fi
: >"$log"
quietly "Installing Headgate and MLflow into .venv" \
    .venv/bin/python -m pip install --disable-pip-version-check --no-input \
    --editable ".${extra:+[$extra]}"
echo "$checksum" >"$done_file"
