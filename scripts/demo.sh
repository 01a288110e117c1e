#!/bin/bash
# Hot backups of a Berkeley DB environment while an application writes to it; then restore, recovery, and
# the application's own check. Run by `make demo`; VARVE_BIN_DIR holds the executables. Exits with 1 when
# anything fails.
set -eu -o pipefail

bin=${VARVE_BIN_DIR:-$(cd "$(dirname "$0")/.." && pwd)/.build/release}
records=${DEMO_RECORDS:-60000}
for program in varve varve-capture-bdb bdb-workload; do
    [ -x "$bin/$program" ] || { echo "demo: $program is not in $bin: run 'make demo'" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/varve-demo.XXXXXX")
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

home=$work/environment repository=$work/repository target=$work/restored progress=$work/progress
mkdir "$home"

fail() { echo "demo: FAILED: $*" >&2; exit 1; }
say() { printf '%-10s %s\n' "$1" "$2"; }
now() { date +%s%N; }
calculate() { awk "BEGIN { $1 }"; }
elapsed() { calculate "printf \"%.2f\", ($(now) - $1) / 1e9"; }
bytes() { du -sb --apparent-size "$@" | awk '{ total += $1 } END { print total }'; }
mebibytes() { calculate "printf \"%.1f MiB\", $1 / 1048576"; }
committed() { tail -n 1 "$progress" | awk '{ print $2 }'; }
# Runs a step quietly; what it printed is shown only if it fails.
quietly() {
    local code=0
    "$@" >"$work/output" 2>&1 || code=$?
    [ $code -eq 0 ] || { cat "$work/output" >&2; fail "${1##*/} $2 exited with $code"; }
}

"$bin/bdb-workload" run --home "$home" --methods btree,hash --records "$records" --cache 16777216 \
    --progress "$progress" --ready "$work/ready" >"$work/writer" 2>&1 &
writer=$!
until [ -e "$work/ready" ]; do
    kill -0 "$writer" 2>/dev/null || { cat "$work/writer" >&2; fail "the writer ended"; }
    sleep 0.05
done
from=$(committed) begin=$(now)
sleep 1
rate=$(calculate "printf \"%d\", ($(committed) - $from) / $(elapsed "$begin")")
[ "$rate" -gt 0 ] || fail "the writer does not write"
say writer "two databases of $records accounts, money moves from one to the other: $rate transactions/s"

quietly "$bin/varve" init -r "$repository"
before=$(bytes "$repository")
for number in 1 2 3; do
    from=$(committed) begin=$(now)
    quietly "$bin/varve" backup -r "$repository" --bdb "$home"
    seconds=$(elapsed "$begin") to=$(committed) after=$(bytes "$repository")
    databases=$(find "$home" -name '*.db' -print0 | xargs -0 du -cb --apparent-size | awk 'END { print $1 }')
    rate=$(mebibytes "$(calculate "printf \"%d\", $databases / $seconds")")
    say "backup $number" "$(mebibytes "$databases") of databases, and their logs, in $seconds s ($rate/s)"
    say "" "stored $(mebibytes $((after - before))); $((to - from)) transactions meanwhile"
    before=$after
    sleep 1
done

begin=$(now)
quietly "$bin/varve" verify -r "$repository" --media
media=$(elapsed "$begin") begin=$(now)
quietly "$bin/varve" verify -r "$repository" --content
say verify "every stored byte against its name $media s, every blob decoded and checked $(elapsed "$begin") s"

begin=$(now)
quietly "$bin/varve" restore -r "$repository" latest --target "$target" --recover
say restore "backup 3 into an empty directory, catastrophic recovery, db_verify: $(elapsed "$begin") s"

"$bin/bdb-workload" check --home "$target" >"$work/check" || fail "the restored databases do not agree"
restored=$(sed -n 's/.*"seq": *\([0-9]*\).*/\1/p' "$work/check")
[ "${restored:-0}" -ge "$from" ] ||
    fail "backup 3 began after transaction $from, but only ${restored:-none} came back"
say check "the sum over both databases is right; every transaction up to $restored is there"
say "" "(backup 3 began at $from and ended at $to)"

kill -0 "$writer" 2>/dev/null || { cat "$work/writer" >&2; fail "the writer ended"; }
last=$(committed)
kill -TERM "$writer"
wait "$writer" || { cat "$work/writer" >&2; fail "the writer failed"; }
writer=""
[ "$last" -gt "$restored" ] || fail "the writer stood still"
say writer "never stopped: at transaction $last"
