#!/bin/sh
# Fuzzes one parser with libFuzzer under the address sanitizer: run.sh TARGET [SECONDS]
# TARGET is the name of a Swift file beside this one. The sources of the modules that it needs are compiled
# into one module with it, so that the fuzzer sees every branch. Seeds are the fixtures; a crash leaves its
# input in the current directory and a status other than 0.
set -eu
target=${1:?usage: run.sh TARGET [SECONDS]}
seconds=${2:-60}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $target in
    DatabasePage) modules="VarveFormat VarveDatabase" seeds="*.db __dbq.* __dbp.*" ;;
    LogFile | LoggedFiles) modules="VarveFormat VarveDatabase" seeds="log.*" ;;
    Configuration) modules="VarveFormat VarveDatabase" seeds="facts" ;;
    CaptureFrames) modules="VarveFormat VarveHelperProtocol" seeds="" ;;
    PackFile | BlobHeader | Delta | ExtentMap | Index | Documents | Ledger | Parity) modules="VarveFormat" seeds="" ;;
    *) echo "run.sh: no target $target; there are DatabasePage, LogFile, LoggedFiles, Configuration, PackFile, BlobHeader," \
        "Delta, ExtentMap, Index, Documents, CaptureFrames, Ledger, Parity" >&2; exit 64 ;;
esac

mkdir "$work/sources" "$work/corpus"
for module in $modules; do
    (cd "$root/Sources/$module" && find . -name '*.swift') | while read -r source; do
        # In one module they need not, and can't, import one another.
        sed -E '/^import Varve/d' "$root/Sources/$module/$source" \
            > "$work/sources/$module-$(printf %s "${source#./}" | tr / -)"
    done
done
cp "$here/$target.swift" "$work/sources/Fuzz-$target.swift"
swiftc -O -module-name Fuzz -package-name varve -parse-as-library -sanitize=fuzzer,address -o "$work/fuzz" "$work"/sources/*.swift

for environment in "$root"/Fixtures/bdb/*/; do
    for pattern in $seeds; do
        for seed in "$environment"$pattern; do
            [ -f "$seed" ] || continue
            # Short seeds are fast; all structures are in the first pages.
            head -c 16384 "$seed" > "$work/corpus/$(basename "$environment")-$(basename "$seed")"
        done
    done
done
[ "$target" != Configuration ] || printf '%s\n' 'set_data_dir data' 'set_lg_dir /logs' \
    'set_flags DB_LOG_AUTOREMOVE on' 'log_set_config db_log_in_memory off' 'log.0000000001' '__db.001' \
    '__dbq.q.db.3' '__dbp.p.db.001' > "$work/corpus/seed"
golden="$root/Fixtures/repositories/format-1"
case $target in
    PackFile) cp "$golden"/packs/*/* "$work/corpus/" ;;
    # Behind the 64 bytes of the pack's header stands the first blob's.
    BlobHeader) for pack in "$golden"/packs/*/*; do tail -c +65 "$pack" | head -c 84 > "$work/corpus/seed"; done ;;
    Index) cp "$golden"/indexes/* "$work/corpus/" ;;
    Documents)
        cp "$golden"/*.json "$work/corpus/"
        for manifest in "$golden"/manifests/*; do zstd -dcq "$manifest" > "$work/corpus/${manifest##*/}"; done
        printf 2026-05-04T03:02:01.5Z > "$work/corpus/time" ;;
    # A segment with two rows and one device; its checksums are right.
    Ledger)
        python3 - > "$work/corpus/seed" <<'SEED'
import struct, sys
def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return struct.pack("<I", value ^ 0xFFFFFFFF)
copy = b"C" * 16
header = b"VARVELDG" + struct.pack("<HH", 1, 0) + b"R" * 16 + copy + struct.pack("<II8x", 2, 1)
def row(kind, hash, *bad):
    fields = struct.pack("<BBBxHxxqIqI32sQQQ4x", kind, 1, 2 if bad else 1, 0, 5, 6, 4, 0, hash, 99, *(bad or (0, 0)))
    return fields + crc(copy + fields)
devices = struct.pack("<H", 9) + b"/dev/sdb1"
sys.stdout.buffer.write(header + crc(header) + row(1, b"n" * 32, 4096, 4096) + row(0, bytes(32)) + devices + crc(devices))
SEED
        ;;
    # A blob of 4096 bytes against a base of 4096: granules of 512, the ranges 0..<512 and 1024..<1536.
    Delta) printf '\0\20\0\0\200\40\11\2\0\1\1\1' > "$work/corpus/seed" ;;
    # A member of one block: k 1, m 1, one stripe, one block, one member. The fuzzer puts the checksums right.
    Parity)
        printf 'VARVEPAR\1\0\0\0\0\20\0\0%016d\1\0\1\0\1\0\0\0\1\0\0\0\1\0\0\0' 0 > "$work/corpus/seed"
        head -c 16 /dev/zero >> "$work/corpus/seed"
        printf '%032d\0\0\0\0\0\0\0\0\144\0\0\0\0\0\0\0' 0 >> "$work/corpus/seed" ;;
    # One entry of level 0; 256 of level 4 with the largest extents.
    ExtentMap)
        printf 'VMAP\1\0\0\0\0\2\0\0\1\0\0\0\0\2\0\0\0\0\0\0%032d' 0 > "$work/corpus/small"
        printf 'VMAP\1\4\0\0\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0%08192d' 0 > "$work/corpus/large" ;;
esac

SWIFT_BACKTRACE=enable=no "$work/fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -max_len=20000 -print_final_stats=1 "$work/corpus"
