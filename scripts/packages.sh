#!/bin/sh
# Installs the Debian packages that a purpose needs and that are missing; needs no rights when none is.
#
#   scripts/packages.sh toolchain|build|deb|test|bench|lint...     install what is missing
#   scripts/packages.sh --list toolchain|build|deb|test|bench|lint  print the names, install nothing
#
# `test` and `bench` include `build`; `toolchain` is what the Swift toolchain itself wants on a bare Debian.
set -eu

build="make pkg-config libdb5.3-dev libb2-dev libisal-dev libzstd-dev"
test="$build 389-ds-base bindfs bogofilter-bdb db5.3-sql-util db5.3-util e2fsprogs exfat-fuse exfatprogs ldap-utils python3
    python3-fuse strace subversion util-linux xfsprogs zstd"
deb="binutils dpkg-dev gzip"
bench="$build python3 restic borgbackup time zstd"
lint="python3"
toolchain="binutils ca-certificates git libc6-dev libcurl4 libgcc-12-dev libncurses6 libsqlite3-0
    libstdc++-12-dev libxml2 make"

list_only=no
if [ "${1:-}" = --list ]; then
    list_only=yes
    shift
fi
[ $# -gt 0 ] || { echo "usage: scripts/packages.sh [--list] toolchain|build|deb|test|bench|lint..." >&2; exit 64; }

wanted=""
for purpose in "$@"; do
    case $purpose in
        build) wanted="$wanted $build" ;;
        deb) wanted="$wanted $deb" ;;
        test) wanted="$wanted $test" ;;
        bench) wanted="$wanted $bench" ;;
        lint) wanted="$wanted $lint" ;;
        toolchain) wanted="$wanted $toolchain" ;;
        *) echo "packages.sh: no such purpose: $purpose (toolchain, build, deb, test, bench, lint)" >&2; exit 64 ;;
    esac
done
wanted=$(printf '%s\n' $wanted | sort -u)
if [ $list_only = yes ]; then
    echo $wanted
    exit 0
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "packages.sh: this is not Debian; provide the equivalents yourself of:" $wanted >&2
    exit 0
fi

missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "packages.sh: these packages are missing, and neither root nor sudo is here to install them:" >&2
        echo "   $missing" >&2
        echo "packages.sh: as root, run: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi

# `env` because sudo drops the environment; a question from a package's set-up would hang a build.
install_missing() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >&2
}
echo "packages.sh: installing$missing" >&2
# A machine's package list is often present and current: try it before paying for an update.
if ! install_missing 2>/dev/null; then
    $as_root apt-get update -qq >&2
    install_missing
fi
