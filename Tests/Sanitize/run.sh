#!/bin/sh
# The unit tests, built with a sanitizer, in a scratch path of its own: run.sh thread|address [ARGUMENT OF swift test…]
# Exits with another status than 0 for a finding, and prints it.
set -eu
kind=${1:?usage: run.sh thread|address [ARGUMENT OF swift test…]}
shift
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
swift=${SWIFT:-swift}
# Those where threads work together, or where memory is handled by hand. The exhaustive tests of damage do the same
# thing thousands of times, and the sanitizers are slow.
[ $# -gt 0 ] || set -- --filter 'VarveTests|VarveRepositoryTests|VarveStorageTests|VarveCodecTests|VarveFormatTests' \
    --skip 'DamageTests/every|DamageTests/overwritten|manyDifferentExtents'

case $kind in
    thread)
        scratch=.build/tsan
        "$swift" build --sanitize=thread --build-tests --scratch-path "$scratch"
        clang=$(dirname "$(readlink -f "$(command -v "$swift")")")/clang
        "$clang" -shared -fPIC -O1 -Wall -Werror -o "$scratch/mutex.so" "$here/mutex.c"
        LD_PRELOAD=$(pwd)/$scratch/mutex.so TSAN_OPTIONS="exitcode=66 ${TSAN_OPTIONS:-}" \
            "$swift" test --skip-build --sanitize=thread --scratch-path "$scratch" --no-parallel "$@" ;;
    address)
        scratch=.build/asan
        "$swift" build --sanitize=address --build-tests --scratch-path "$scratch"
        # What Swift's runtime keeps until the end is no leak.
        ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}" \
            "$swift" test --skip-build --sanitize=address --scratch-path "$scratch" --no-parallel "$@" ;;
    *) echo "run.sh: no sanitizer $kind; there are thread, address" >&2; exit 64 ;;
esac
