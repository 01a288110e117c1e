#!/bin/bash
# Compares processor time and memory of two builds: first backup, the next day's, restore of the same environment and
# verification of content, in pairs that follow each other, each build first in every other pair.
#
#   scripts/compare-builds.sh [--pairs 9] [--records 400000] OLD NEW     directories with varve and its helper
#
# Prints for each of the four the seconds of both (medians), the ratio NEW / OLD of the pairs (median, smallest,
# largest), and the largest memory of a process of both (medians). The time is user and system time of the command and
# of the processes that it waited for, as GNU time tells them. One pair before does not count. Backups are offline, so no application takes part; the files are in the page cache, and what a run
# wrote is on the disk before the next one begins. bdb-workload is taken from NEW. What was restored is compared with
# what was backed up. Exits with 1 if a command fails or a file differs; the ratios are for a person to judge.
set -eu -o pipefail

pairs=9 records=400000
while [ $# -gt 0 ]; do
    case $1 in
        --pairs) pairs=$2; shift 2 ;;
        --records) records=$2; shift 2 ;;
        *) break ;;
    esac
done
[ $# -eq 2 ] || { echo "usage: scripts/compare-builds.sh [--pairs N] [--records N] OLD NEW" >&2; exit 64; }
old=$(cd "$1" && pwd) new=$(cd "$2" && pwd)
for program in "$old/varve" "$new/varve" "$new/bdb-workload"; do
    [ -x "$program" ] || { echo "compare-builds: there is no $program" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/varve-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
home=$work/environment

# Two states of one environment, a day apart; each takes its turn at the place of the home.
"$new/bdb-workload" generate --home "$home" --records "$records" >/dev/null
cp -a "$home" "$work/first"
"$new/bdb-workload" day --home "$home" --update 0.01 --insert 0.001 --seed 2 >/dev/null
mv "$home" "$work/next"
# What a build keeps in an environment is not for the other one.
put() { rm -rf "$home" && cp -a "$work/$1" "$home" && find "$home" -type f -exec cat {} + >/dev/null && sync; }

[ -x /usr/bin/time ] || { echo "compare-builds: GNU time is missing: apt-get install time" >&2; exit 1; }
# One step of a build: its name, the build's, and the command; notes the processor time and the memory in KiB.
measure() {
    local step=$1 build=$2
    shift 2
    /usr/bin/time -o "$work/time" -f '%U %S %M' "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
    [ "$number" -eq 0 ] ||
        awk -v what="$step $build $number" 'END { print what, $1 + $2, $3 }' "$work/time" >>"$work/times"
    sync
}

one() {
    local build=$1 bin=$2 step=$3 repository=$work/repository-$1
    case $step in
        first)
            rm -rf "$repository"
            "$bin/varve" init -r "$repository" >/dev/null 2>&1
            put first
            measure first "$build" "$bin/varve" backup -r "$repository" --offline --bdb "$home"
            ;;
        next)
            put next
            measure next "$build" "$bin/varve" backup -r "$repository" --offline --bdb "$home"
            ;;
        restore)
            rm -rf "$work/restored"
            measure restore "$build" "$bin/varve" restore -r "$repository" latest --target "$work/restored"
            for file in "$work"/next/*.db; do cmp "$file" "$work/restored/${file##*/}"; done
            ;;
        verify)
            measure verify "$build" "$bin/varve" verify -r "$repository" --content
            ;;
    esac
}

: >"$work/times"
for ((number = 0; number <= pairs; number++)); do
    for step in first next restore verify; do
        if ((number % 2)); then
            one old "$old" $step
            one new "$new" $step
        else
            one new "$new" $step
            one old "$old" $step
        fi
    done
done

echo "$pairs pairs, $(du -sh --apparent-size "$work/next" | cut -f 1) of databases and logs; processor time in seconds"
printf '%-8s %8s %8s   %-38s %s\n' "" old new "new / old: median, smallest, largest" "MiB old, new"
for step in first next restore verify; do
    awk -v step=$step '
        function median(values, count) {
            arrange(values)
            return count % 2 ? values[(count + 1) / 2] : (values[count / 2] + values[count / 2 + 1]) / 2
        }
        function arrange(values,    i, j, swap) {
            for (i = 1; i in values; i++)
                for (j = i; j > 1 && values[j] < values[j - 1]; j--) {
                    swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
                }
        }
        $1 == step { time[$2, $3] = $4; memory[$2, $3] = $5; if ($3 > count) count = $3 }
        END {
            for (i = 1; i <= count; i++) {
                old[i] = time["old", i]; new[i] = time["new", i]; ratio[i] = new[i] / old[i]
                oldMemory[i] = memory["old", i]; newMemory[i] = memory["new", i]
            }
            middle = median(ratio, count)
            printf "%-8s %8.2f %8.2f   %-38s %.0f, %.0f\n", step, median(old, count), median(new, count),
                sprintf("%.3f, %.3f, %.3f", middle, ratio[1], ratio[count]),
                median(oldMemory, count) / 1024, median(newMemory, count) / 1024
        }' "$work/times"
done
