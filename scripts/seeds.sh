#!/bin/bash
# Runs a test with so many fresh seeds, and prints the seeds with which it fails. Exits with 1 if it fails with any.
#
#   scripts/seeds.sh FILTER COUNT      FILTER as of `swift test --filter`: one test, or several, which then share a seed
#   scripts/seeds.sh FILTER COUNT 25   and ends each run after 25 minutes; without it after 10
#
# The tests are built if need be; executables are taken from VARVE_BIN_DIR, by default .build/release. What failed
# is in .build/seeds, one file for each seed; VARVE_TEST_SEED=SEED repeats it. VARVE_SOAK=1 runs the long variants.
set -u -o pipefail

cd "$(dirname "$0")/.." || exit 1
[ $# -eq 2 ] || [ $# -eq 3 ] || { echo "usage: scripts/seeds.sh FILTER COUNT [MINUTES]" >&2; exit 64; }
filter=$1 count=$2 minutes=${3:-10}
case $count$minutes in *[!0-9]*) echo "seeds: COUNT and MINUTES are numbers" >&2; exit 64 ;; esac
export VARVE_BIN_DIR=${VARVE_BIN_DIR:-$PWD/.build/release}
logs=.build/seeds
mkdir -p "$logs" || exit 1
[ "${SEEDS_SKIP_BUILD:-}" = 1 ] || ${SWIFT:-swift} build --build-tests --quiet || exit 1
bundle=$(${SWIFT:-swift} build --show-bin-path)/varvePackageTests.xctest

# The bundle itself, not `swift test`: that plans a build for each seed.
one() {
    NO_COLOR=1 VARVE_TEST_SEED=$1 timeout --kill-after=30 "${minutes}m" \
        "$bundle" --testing-library swift-testing --no-parallel --filter "$filter" >"$logs/$1.log" 2>&1
}

failed=0
for ((number = 1; number <= count; number++)); do
    seed=$((SRANDOM % 999999998 + 1))
    one "$seed"
    code=$?
    if ! grep -q '^. Test run with [1-9]' "$logs/$seed.log" && [ $code -eq 0 ]; then
        echo "seeds: no test is called '$filter'" >&2
        exit 64
    fi
    if [ $code -eq 0 ]; then
        rm -f "$logs/$seed.log"
        continue
    fi
    failed=$((failed + 1))
    echo "seed $seed: exit code $code"
    grep -m 3 -A 1 -E '^✘ Test .* recorded an issue|[Ff]atal error' "$logs/$seed.log" | cut -c 1-300
done
echo "$filter: $failed of $count seeds failed"
[ $failed -eq 0 ]
