#!/bin/bash
# `swift test` with the arguments given. What failed is said once more at the end, where it is seen without looking
# through a thousand lines; the whole output stays in .build/test.log. The exit code is that of `swift test`.
set -u

cd "$(dirname "$0")/.." || exit 1
log=.build/test.log
mkdir -p .build || exit 1
${SWIFT:-swift} test "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}
[ "$code" -ne 0 ] || exit 0

echo
echo "'swift test' has failed with $code; its output is in $log. What it says of failures:"
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
' "$log"
exit "$code"
