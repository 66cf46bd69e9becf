#!/bin/sh
# Make what installers take along, in dist/: scripts/package.sh [bookworm|trixie]-[arm64|amd64]..., all four by default.
#
# Of each a bundle (install.sh and wheels), and a package that has the same inside and runs it. Wheels are gathered for
# the system they are for, whatever this one is. Two runs at one commit make the same bytes.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
version=$("$python" -c 'from edge_agent import __version__; print(__version__)')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
umask 022

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p dist
said=$("$python" -m hatchling build -t wheel -d "$scratch/own" 2>&1) || {
    echo "$said" >&2
    exit 1
}

gather() { # gather PYTHON MACHINE FOLDER: all wheels of a gateway; newer glibc than bookworm's 2.36 is left out
    set -- "$@" --only-binary=:all: --implementation cp --python-version "$1" -d "$3"
    for glibc in 2_17 2_28 2_31 2_34 2_35 2_36; do
        set -- "$@" --platform "manylinux_${glibc}_$2"
    done
    set -- "$@" --platform "manylinux2014_$2"
    shift 3
    "$python" -m pip --disable-pip-version-check download -q -c constraints.txt "$@" \
        "$(echo "$scratch"/own/*.whl)[gateway]"
}

archive() { # archive FOLDER FILE: the same bytes each time
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$(dirname "$1")" \
        -cf - "$(basename "$1")" | gzip -9n >"$2"
}

# fill TEMPLATE PLACE: a file of the package, with what differs between packages.
fill() {
    sed -e "s/@VERSION@/$full/g" -e "s/@ARCH@/$arch/g" -e "s/@PYTHON@/3.$minor/g" -e "s/@NEXT@/3.$((minor + 1))/g" \
        -e "s/@SIZE@/$size/g" "packaging/$1" >"$2"
}

package() { # package FOLDER FILE: the .deb of a bundle
    tree=$scratch/deb-$release-$arch
    mkdir -p "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/share/smartpark-edge-agent" "$tree/usr/lib/udev/rules.d" \
        "$tree/usr/lib/sysusers.d" "$tree/usr/lib/tmpfiles.d" "$tree/usr/lib/systemd/system" \
        "$tree/usr/share/doc/smartpark-edge-agent" "$tree/usr/share/man/man1"
    cp -r "$1/install.sh" "$1/wheels" "$tree/usr/share/smartpark-edge-agent/"
    ln -s /opt/edge-agent/current/bin/edge-agent "$tree/usr/bin/edge-agent"
    cp systemd/edge-agent.service "$tree/usr/lib/systemd/system/"
    cp systemd/edge-agent.sysusers.conf "$tree/usr/lib/sysusers.d/edge-agent.conf"
    cp systemd/edge-agent.tmpfiles.conf "$tree/usr/lib/tmpfiles.d/edge-agent.conf"
    cp systemd/edge-agent.rules "$tree/usr/lib/udev/rules.d/60-edge-agent.rules"
    cp -r README.md README.zh.md CHANGELOG.md docs config examples packaging/copyright "$tree/usr/share/doc/smartpark-edge-agent/"
    "$python" -m scripts.manpage | gzip -9n >"$tree/usr/share/man/man1/edge-agent.1.gz"
    {
        echo "smartpark-edge-agent ($full) unstable; urgency=medium"
        printf '\n  * See CHANGELOG.md beside this file for what changed for installers.\n\n'
        echo " -- The edge-agent authors <edge-agent@example.invalid>  $(date -uR -d "@$SOURCE_DATE_EPOCH")"
    } | gzip -9n >"$tree/usr/share/doc/smartpark-edge-agent/changelog.gz"
    size=$(du -sk "$tree" | cut -f1)
    fill control "$tree/DEBIAN/control"
    for script in preinst postinst prerm postrm; do
        [ ! -f "packaging/$script" ] || install -m 755 "packaging/$script" "$tree/DEBIAN/$script"
    done
    (cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
    find "$tree" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$tree" "$2" >/dev/null
}

[ $# -gt 0 ] || set -- bookworm-arm64 bookworm-amd64 trixie-arm64 trixie-amd64
for target; do
    release=${target%-*}
    arch=${target#*-}
    case $release in
        bookworm) minor=11 deb=12 ;;
        trixie) minor=13 deb=13 ;;
        *) echo "what is $target? Write bookworm or trixie, -, and arm64 or amd64" >&2 && exit 1 ;;
    esac
    case $arch in
        arm64) machine=aarch64 ;;
        amd64) machine=x86_64 ;;
        *) echo "what is $target? Write bookworm or trixie, -, and arm64 or amd64" >&2 && exit 1 ;;
    esac
    full=$version~deb$deb
    folder=$scratch/$target/edge-agent-$version-$target
    mkdir -p "$folder"
    gather "3.$minor" "$machine" "$folder/wheels"
    cp install.sh LICENSE docs/install.md "$folder/"
    archive "$folder" "dist/${folder##*/}.tar.gz"
    package "$folder" "dist/smartpark-edge-agent_${full}_$arch.deb"
    du -h "dist/${folder##*/}.tar.gz" "dist/smartpark-edge-agent_${full}_$arch.deb"
done
