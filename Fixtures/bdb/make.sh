#!/bin/sh
# Makes the environments beside this file anew, with libdb 5.3. They are checked in and the tests run on
# those: make new ones only to add to them, into another directory: make.sh DIRECTORY
set -eu
here=$(cd "$(dirname "$0")" && pwd)
into=${1:?usage: make.sh DIRECTORY}
mkdir -p "$into"
tool=$(mktemp)
trap 'rm -f "$tool"' EXIT
cc -std=gnu11 -Wall -Wextra -o "$tool" "$here/make.c" -ldb-5.3

environment() {
    home=$into/$1
    shift
    mkdir "$home"
    "$tool" "$home" "$@" > "$home/facts"
    rm -f "$home"/__db.[0-9]*
}
environment plain-4096 4096 plain 1234 btree hash recno queue heap several
environment checksum-512 512 checksum 1234 btree hash recno queue extents heap several partition
environment big-endian-512 512 checksum 4321 btree hash recno extents heap several
environment checksum-65536 65536 checksum 1234 btree
environment encrypted-1024 1024 checksum 1234 encrypt btree extents
elsewhere=/tmp/varve-fixture-elsewhere
rm -rf "$elsewhere"
mkdir "$elsewhere"
environment absolute-512 512 plain 1234 "absolute=$elsewhere/outside.db" btree
rm -rf "$elsewhere"
