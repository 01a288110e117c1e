#!/bin/sh
# Makes a Debian package of a release build. Called by `make deb`.
#
#   scripts/deb.sh BINARIES OUTPUT    from the directory of a static release build into a directory
#
#   SOURCE_DATE_EPOCH   every time in the package (default: that of the last commit): the same binaries make
#                       the same package, byte by byte
#   DEB_REVISION        the package's revision of this version (default: 1)
#   DEB_MAINTAINER      name and address (default: those of the last commit)
set -eu

[ $# -eq 2 ] || { echo "usage: scripts/deb.sh BINARIES OUTPUT" >&2; exit 64; }
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$2"
binaries=$(cd "$1" && pwd) output=$(cd "$2" && pwd)
for tool in dpkg-deb strip gzip; do
    command -v $tool >/dev/null || { echo "deb.sh: $tool is missing (Debian: dpkg, binutils, gzip)" >&2; exit 1; }
done

of_commit() { git -C "$source" log -1 --format="$1" 2>/dev/null || true; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(of_commit %ct)}
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(date +%s)}"
maintainer=${DEB_MAINTAINER:-$(of_commit '%an <%ae>')}
maintainer=${maintainer:-the contributors to Varve <varve@localhost>}
version=$("$binaries/varve" --version)-${DEB_REVISION:-1}
architecture=$(dpkg --print-architecture)
export LC_ALL=C TZ=UTC
umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/varve-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tree=$work/tree
mkdir -p "$tree/usr" "$tree/DEBIAN"

DESTDIR=$tree ZSH_COMPLETIONS=share/zsh/vendor-completions "$source/scripts/install.sh" "$binaries" /usr
# dpkg knows what it has installed.
rm -r "$tree/usr/share/varve"
strip --strip-unneeded --remove-section=.comment --remove-section=.note \
    "$tree/usr/bin/varve" "$tree/usr/libexec/varve/varve-capture-bdb"
gzip -9n "$tree"/usr/share/man/man1/*.1

documents=$tree/usr/share/doc/varve
mkdir -p "$documents"
gzip -9nc "$source/CHANGELOG.md" >"$documents/changelog.gz"
gzip -9nc >"$documents/changelog.Debian.gz" <<END
varve ($version) unstable; urgency=medium

  * Version $("$binaries/varve" --version); changelog.gz says what is new.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
cat >"$documents/copyright" <<'END'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: varve

Files: *
Copyright: the contributors to Varve
License: Apache-2.0

Files: usr/bin/varve usr/libexec/varve/varve-capture-bdb
Copyright: the contributors to Varve
           Apple Inc. and the Swift project authors
License: Apache-2.0
Comment: These contain parts of the Swift runtime, of Foundation, and of the packages
 swift-argument-parser and swift-system, all under the Apache License 2.0 with the Runtime
 Library Exception (https://swift.org/LICENSE.txt).

License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
END

for unit in "$source"/packaging/systemd/*.service "$source"/packaging/systemd/*.timer; do
    [ -f "$unit" ] || continue
    install -D -m 644 "$unit" "$tree/usr/lib/systemd/system/${unit##*/}"
done
if [ -d "$tree/usr/lib/systemd" ]; then
    cat >"$tree/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
END
    cp "$tree/DEBIAN/postinst" "$tree/DEBIAN/postrm"
    chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/postrm"
fi

# What the binaries are linked with says which packages they need.
depends=""
if command -v dpkg-shlibdeps >/dev/null; then
    mkdir -p "$work/debian"
    printf 'Source: varve\n\nPackage: varve\nArchitecture: any\n' >"$work/debian/control"
    depends=$(cd "$work" && dpkg-shlibdeps -O "$tree/usr/bin/varve" \
        "$tree/usr/libexec/varve/varve-capture-bdb" 2>"$work/shlibdeps" | sed -n 's/^shlibs:Depends=//p') || true
    [ -n "$depends" ] || cat "$work/shlibdeps" >&2
fi
# Without that tool: what they need on Debian 12.
[ -n "$depends" ] ||
    depends="libb2-1 (>= 0.98.1), libc6 (>= 2.35), libdb5.3, libgcc-s1 (>= 3.3), libisal2 (>= 2.16.0), libstdc++6 (>= 11), libzstd1 (>= 1.5.2)"

size=$(find "$tree" -path "$tree/DEBIAN" -prune -o -type f -printf '%s\n' | awk '{ total += int(($1 + 1023) / 1024) } END { print total }')
cat >"$tree/DEBIAN/control" <<END
Package: varve
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $size
Depends: $depends
Suggests: db5.3-util
Section: admin
Priority: optional
Description: hot backups of Berkeley DB environments
 Varve backs up Berkeley DB environments (release 5.3 of the C library) while applications
 write to them, verifies what is stored, keeps copies of it on several disks, and restores
 it recovered.
END
(cd "$tree" && find usr -type f | sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$output/varve_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
echo "$package"
