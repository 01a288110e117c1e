#!/bin/bash
# run-tests.sh ARGUMENTS                  `swift test` with these arguments
# run-tests.sh --lanes REGEX... -- ARGUMENTS
#                                         the tests of each REGEX in a process of its own, all at once, each with
#                                         ARGUMENTS; what `swift test` has built is run, nothing is built
#
# What failed is said once more at the end, where it is seen without looking through a thousand lines. The whole output
# stays in .build/test.log, or in .build/test-1.log and so on. The exit code is that of the tests.
set -u

cd "$(dirname "$0")/.." || exit 1
mkdir -p .build || exit 1

# What LOG says of failures.
say_failures() {
    echo
    echo "Tests have failed with $2; their output is in $1. What it says of failures:"
    # Details of an issue are lines with an arrow, or indented. A test that began and never ended took the process with it.
    awk '
        function name(line) {
            sub(/^[^ ]+ Test /, "", line)
            sub(/( with [0-9]+ test cases?)? (started\.|passed after|failed after|skipped).*/, "", line)
            return line
        }
        !/^(↳|  )/ { isIssue = 0 }
        /^✘ Test .* recorded an issue/ { isIssue = 1; lines = 0 }
        isIssue && ++lines == 40 { print "  (more in the log)" }
        isIssue && lines < 40 || /^✘ Test / && !isIssue || /(^|: )([Ff]atal )?error: / && !isIssue { print }
        /^◇ Test .* started\./ && !/^◇ Test (run|case) / { begun[name($0)]++ }
        /^[^ ]+ Test .* (passed after|failed after|skipped)/ { begun[name($0)]-- }
        /^[^ ]+ Test run with/ { isWhole = 1 }
        END { if (!isWhole) for (test in begun) if (begun[test] > 0) print "did not end: " test }
    ' "$1"
}

if [ "${1:-}" != --lanes ]; then
    ${SWIFT:-swift} test "$@" 2>&1 | tee .build/test.log
    code=${PIPESTATUS[0]}
    [ "$code" -eq 0 ] || say_failures .build/test.log "$code"
    exit "$code"
fi

shift
lanes=()
while [ "${1:---}" != -- ]; do
    lanes+=("$1")
    shift
done
shift
# `swift test` holds the lock of .build as long as it runs: the lanes are the built program itself.
program=$(echo "$(${SWIFT:-swift} build --show-bin-path)"/*PackageTests.xctest)
jobs=()
for lane in "${!lanes[@]}"; do
    (
        NO_COLOR=1 "$program" --testing-library swift-testing "$@" --filter "${lanes[lane]}" 2>&1 |
            tee ".build/test-$((lane + 1)).log"
        exit "${PIPESTATUS[0]}"
    ) &
    jobs+=($!)
done
code=0
failed=()
for lane in "${!lanes[@]}"; do
    wait "${jobs[lane]}" || {
        code=$?
        failed+=("$lane:$code")
    }
done
for lane in "${failed[@]}"; do say_failures ".build/test-$((${lane%%:*} + 1)).log" "${lane#*:}"; done
exit "$code"
