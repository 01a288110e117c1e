#!/bin/sh
# Installs varve, its helper, its manual pages and its completions, or removes what it installed. Called by
# `make install`, `make uninstall` and scripts/deb.sh.
#
#   scripts/install.sh BINARIES PREFIX    install from the directory of a release build
#   scripts/install.sh --remove PREFIX    remove what an installation under PREFIX made, and nothing else
#
#   DESTDIR             put before every path, as packagers do
#   ZSH_COMPLETIONS     directory for zsh's completions below PREFIX (default: share/zsh/site-functions)
#   SOURCE_DATE_EPOCH   the date of the manual pages (default: now)
#
# PREFIX/share/varve/installed lists what was made: `f` files, `d` directories that were not there before, `p` PREFIX.
set -eu

usage() { echo "usage: scripts/install.sh BINARIES PREFIX | --remove PREFIX" >&2; exit 64; }
[ $# -eq 2 ] || usage
binaries=$1 prefix=$2
root=${DESTDIR:-}$prefix
list=share/varve/installed

if [ "$binaries" = --remove ]; then
    [ -f "$root/$list" ] || { echo "install.sh: nothing is installed in $root" >&2; exit 1; }
    sed -n 's/^f //p' "$root/$list" | while IFS= read -r file; do rm -f "$root/$file"; done
    # The deepest first; what others have put something into stays.
    directories=$(sed -n 's/^d //p' "$root/$list" | sort -r)
    made_prefix=$(grep -c '^p$' "$root/$list") || true
    rm -f "$root/$list"
    printf '%s\n' "$directories" | while IFS= read -r directory; do
        [ -z "$directory" ] || rmdir "$root/$directory" 2>/dev/null || true
    done
    [ "$made_prefix" = 0 ] || rmdir "$root" 2>/dev/null || true
    exit 0
fi

[ -x "$binaries/varve" ] && [ -x "$binaries/varve-capture-bdb" ] ||
    { echo "install.sh: no varve in $binaries" >&2; exit 1; }
umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/varve-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A second installation goes on with the first one's list of directories.
if [ -f "$root/$list" ]; then grep '^[dp]' "$root/$list" >"$work/list" || true; else : >"$work/list"; fi
[ -d "$root" ] || echo p >>"$work/list"
make_directory() {
    [ -d "$root/$1" ] && return
    case $1 in */*) make_directory "${1%/*}" ;; esac
    mkdir -p "$root/$1"
    echo "d $1" >>"$work/list"
}
put() {
    make_directory "${3%/*}"
    install -m "$1" "$2" "$root/$3"
    echo "f $3" >>"$work/list"
}

put 755 "$binaries/varve" bin/varve
put 755 "$binaries/varve-capture-bdb" libexec/varve/varve-capture-bdb
mkdir "$work/man"
"$binaries/varve" -q manual --output "$work/man" \
    --date "$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%d)"
for page in "$work"/man/*.1; do put 644 "$page" "share/man/man1/${page##*/}"; done
for shell in bash zsh fish; do "$binaries/varve" completions $shell >"$work/$shell"; done
put 644 "$work/bash" share/bash-completion/completions/varve
put 644 "$work/zsh" "${ZSH_COMPLETIONS:-share/zsh/site-functions}/_varve"
put 644 "$work/fish" share/fish/vendor_completions.d/varve.fish
make_directory "${list%/*}"
install -m 644 "$work/list" "$root/$list"
