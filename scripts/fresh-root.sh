#!/bin/sh
# Proves that a fresh clone works on a bare Debian 12: makes a root with debootstrap, clones the committed
# HEAD into it, mounts the Swift toolchain read-only, and runs `make demo test` there (or the targets given
# as arguments). Needs root.
#
#   SWIFT_HOME        directory that holds the toolchain's usr/ (default: found from `swift` on PATH)
#   SWIFT_PACKAGES    optional mirror of the package dependencies, laid out as github.com/<owner>/<name>
#   DEBIAN_MIRROR     optional; debootstrap has a default of its own
#   FRESH_ROOT        where to make the root (default: a temporary directory, removed afterwards). A
#                     directory named here is kept, and its root is used again.
set -eu

fail() { echo "fresh-root: $*" >&2; exit 1; }

repository=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${SWIFT_HOME:-}" ]; then
    swift=$(command -v swift) || fail "no swift on PATH: set SWIFT_HOME to the directory that holds usr/"
    SWIFT_HOME=$(dirname "$(dirname "$(dirname "$(readlink -f "$swift")")")")
fi
[ -x "$SWIFT_HOME/usr/bin/swift-build" ] || fail "no toolchain in $SWIFT_HOME (no usr/bin/swift-build)"
[ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot need root"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
if [ -n "$(git -C "$repository" status --porcelain)" ]; then
    echo "fresh-root: uncommitted changes are not tested" >&2
fi
[ $# -gt 0 ] || set -- demo test

if [ -n "${FRESH_ROOT:-}" ]; then
    root=$FRESH_ROOT
    mkdir -p "$root"
else
    root=$(mktemp -d "${TMPDIR:-/tmp}/varve-fresh-root.XXXXXX")
    # It becomes "/", through which every user goes.
    chmod 755 "$root"
    # The mounts live in a mount namespace that is gone by then; --one-file-system guards the toolchain too.
    trap 'rm -rf --one-file-system "$root"' EXIT
    trap 'exit 130' INT TERM
fi

if [ ! -e "$root/etc/debian_version" ]; then
    echo "fresh-root: debootstrap" >&2
    output=$(debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:-} 2>&1) ||
        { printf '%s\n' "$output" | tail -n 5 >&2; fail "debootstrap failed"; }
fi

rm -rf --one-file-system "$root/srv/varve"
git clone -q --no-hardlinks "$repository" "$root/srv/varve"
mkdir -p "$root/opt/swift" "$root/opt/swift-packages"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
rm -f "$root/root/.gitconfig"
if [ -n "${SWIFT_PACKAGES:-}" ]; then
    printf '[url "/opt/swift-packages/"]\n\tinsteadOf = https://github.com/\n' >"$root/root/.gitconfig"
fi

export root SWIFT_HOME SWIFT_PACKAGES="${SWIFT_PACKAGES:-}"
exec_in_root='
    set -eu
    mount --make-rprivate /
    mount --bind "$SWIFT_HOME" "$root/opt/swift"
    mount -o remount,bind,ro "$root/opt/swift"
    if [ -n "$SWIFT_PACKAGES" ]; then
        mount --bind "$SWIFT_PACKAGES" "$root/opt/swift-packages"
        mount -o remount,bind,ro "$root/opt/swift-packages"
    fi
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
        PATH=/opt/swift/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -euc "cd /srv/varve
            apt-get install -qq -y --no-install-recommends git make >/dev/null
            exec make \"\$@\"" make "$@"
'
unshare --mount --pid --fork --kill-child sh -euc "$exec_in_root" fresh-root "$@"
echo "fresh-root: passed: make $*" >&2
