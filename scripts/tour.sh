#!/bin/bash
# The tour of README.md: runs its commands on a new environment with an application writing to it, and prints
# them with their output. VARVE_BIN_DIR holds the executables.
#
#   scripts/tour.sh            print the tour
#   scripts/tour.sh --check    compare it with README.md, numbers and names aside; exits with 1 if they differ
#   scripts/tour.sh --write    put it into README.md
#
# In the output the tour's directory is called /srv and this machine host.
set -eu -o pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "${VARVE_BIN_DIR:-$root/.build/release}" 2>/dev/null && pwd) || bin=""
for program in varve varve-capture-bdb bdb-workload; do
    [ -x "$bin/$program" ] || { echo "tour: no $program: build it with 'make release'" >&2; exit 1; }
done
PATH=$bin:$PATH

work=$(mktemp -d "${TMPDIR:-/tmp}/varve-tour.XXXXXX")
writer=""
finish() {
    code=$?
    trap - EXIT
    if [ -n "$writer" ] && kill -TERM "$writer" 2>/dev/null; then wait "$writer" 2>/dev/null || true; fi
    rm -rf "$work"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

public() { sed -e "s|$work|/srv|g" -e "s|\b$(hostname)\b|host|g"; }
# One command of the tour; what it printed is shown if it fails, wherever the tour goes.
step() {
    echo "\$ $*"
    local code=0
    (cd "$work" && eval "$@") >"$work/output" 2>&1 || code=$?
    public <"$work/output"
    [ $code -eq 0 ] || { cat "$work/output" >&2; echo "tour: exit code $code: $*" >&2; exit 1; }
}

tour() {
    local run="bdb-workload run --home env --records 20000 --rate 500 --ready ready"
    mkdir "$work/env"
    echo "\$ mkdir env"
    echo "\$ $run &"
    (cd "$work" && exec $run >"$work/writer" 2>&1) &
    writer=$!
    until [ -e "$work/ready" ]; do
        kill -0 "$writer" 2>/dev/null || { cat "$work/writer" >&2; exit 1; }
        sleep 0.05
    done
    echo "\$ export VARVE_REPOSITORY=/srv/repo"
    export VARVE_REPOSITORY=$work/repo
    step varve init --copy offsite
    step varve backup --bdb env
    sleep 2
    step varve backup --bdb env
    step varve snapshots
    step varve ls
    step varve show
    step varve verify
    step varve verify --copy offsite --drill
    step varve verify --copy offsite --media
    step varve status --min-copies 2 --max-age 2h
    step varve restore latest --target again --dry-run
    step varve restore latest --target again --recover
    step bdb-workload check --home again
    kill -TERM "$writer"
    wait "$writer" || { cat "$work/writer" >&2; exit 1; }
    writer=""
}

# What the README shows, between its markers.
shown() {
    sed -n '/^<!-- tour -->$/,/^<!-- end of tour -->$/p' "$root/README.md" | grep -v -e '^<!--' -e '^```'
}

# Numbers, sizes, times and ids differ from run to run, and so does the number of log files.
shape() {
    sed -E -e 's/[0-9a-f]{8,}|[0-9]+(\.[0-9]+)?/N/g' -e 's/N ([KMG]i)?B/SIZE/g' \
        -e 's/[[:space:]]+/ /g' -e 's/ $//' | uniq
}

case ${1:-} in
    "") tour ;;
    --check)
        tour >"$work/tour"
        diff <(shown | shape) <(shape <"$work/tour") ||
            { echo "tour: README.md shows another tour" >&2; exit 1; }
        ;;
    --write)
        tour >"$work/tour"
        awk -v tour="$work/tour" '
            /^<!-- end of tour -->$/ {
                print "```console"
                while ((getline line < tour) > 0) print line
                print "```"
                skip = 0
            }
            !skip { print }
            /^<!-- tour -->$/ { skip = 1 }' "$root/README.md" >"$work/README.md"
        cat "$work/README.md" >"$root/README.md"
        ;;
    *) echo "usage: scripts/tour.sh [--check | --write]" >&2; exit 64 ;;
esac
