#!/bin/sh
# Install, upgrade, take back or take away edge-agent on Debian 12, 13 or Raspberry Pi OS: `./install.sh --help`.
#
# /opt/edge-agent/versions/X is a version with all it needs, built aside; /opt/edge-agent/current leads to the one that
# runs. A version is whole when it has the file `complete`; whatever else lies there is made anew.
set -eu
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
name=smartpark_edge_agent
root=
service=
within=3m
verb=install
purge=no
package=no
judged=no # whether a new version is on trial: then it is taken back on the way out

usage() {
    cat <<END
Usage: install.sh [install | --upgrade | --rollback | --uninstall [--purge]] [options]

  install (nothing)   install this version; where an older one runs, the same as --upgrade
  --upgrade           change to this version; the one before comes back if this one does not become healthy
  --rollback          go back to the version before the last upgrade
  --uninstall         take the program away; configuration and readings stay, unless --purge is given
  --within DURATION   how long a new version may take to become healthy ($within)
  --root DIR          put and run everything below DIR, and touch nothing else: to try it, and for tests
  --service PROGRAM   start and stop with \`PROGRAM start|stop|restart|active\`, where no systemd runs
  --package           files of the system are dpkg's, as the .deb calls it
END
}

say() { echo "edge-agent: $*"; }
fail() {
    echo "edge-agent: $*" >&2
    exit 1
}

# Starts, stops or asks the service; fails where there is nothing that could.
serve() {
    if [ -n "$service" ]; then
        "$service" "$1" 9>&-
    elif [ -n "$root" ] || [ ! -d /run/systemd/system ]; then
        return 1
    elif [ "$1" = active ]; then
        systemctl is-active --quiet edge-agent
    else
        systemctl "$1" edge-agent
    fi
}

check_machine() {
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "it needs Python 3.11 or newer, which Debian 12 and Raspberry Pi OS bookworm have; $python is none"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments: apt-get install python3-venv"
    command -v systemd-sysusers >/dev/null || fail "systemd-sysusers is missing: apt-get install systemd"
}

# Nothing of the machine's own pip configuration holds here: what is installed is what was tested together.
pip() {
    venv=$1
    shift
    PIP_CONFIG_FILE=/dev/null "$venv/bin/python" -m pip --isolated --disable-pip-version-check "$@"
}

# Sets $wheels: those of a bundle, or made of the sources here, which needs the network.
find_wheels() {
    wheels=$here/wheels
    [ -d "$wheels" ] && return
    [ -f "$here/pyproject.toml" ] || fail "there is no folder wheels beside $0; unpack the whole bundle"
    say "making wheels of $here, with what it needs from the network"
    wheels=$scratch/wheels
    "$python" -m venv "$scratch/venv"
    PIP_CONSTRAINT=$here/constraints.txt PIP_BUILD_CONSTRAINT=$here/constraints.txt \
        "$scratch/venv/bin/pip" --disable-pip-version-check wheel -q -w "$wheels" "${here}[gateway]"
}

# Builds $release below versions/, unless it is there; needs no network.
build() {
    set -- "$wheels/$name"-*.whl
    [ $# -eq 1 ] || fail "$wheels holds edge-agent more than once; unpack the bundle into an empty folder"
    [ -f "$1" ] || fail "$wheels does not hold edge-agent; unpack the whole bundle"
    version=${1#"$wheels/$name-"}
    version=${version%%-*}
    # Drivers made elsewhere lie in drivers/ as wheels, with what they need, and come along into each version.
    set --
    for wheel in "$opt"/drivers/*.whl; do
        [ ! -f "$wheel" ] || set -- "$@" "$wheel"
    done
    print=$(cat "$wheels"/*.whl "$@" | sha256sum)
    print="${print%% *} $("$python" -V)"
    release=$version
    copy=1
    while [ -f "$opt/versions/$release/complete" ]; do
        if [ "$(cat "$opt/versions/$release/complete")" = "$print" ]; then
            say "$release is there already"
            return
        fi
        copy=$((copy + 1))
        release=$version-$copy
    done
    mkdir -p "$opt/versions"
    free=$(df -Pm "$opt" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge 150 ] || fail "$opt has $free MB free; a version needs 150 MB; make room and run it again"
    say "building $release in $opt/versions/$release, a minute or two on a small board"
    rm -rf "${opt:?}/versions/$release"
    "$python" -m venv "$opt/versions/$release"
    pip "$opt/versions/$release" install -q --no-index --find-links "$wheels" \
        "smartpark-edge-agent[gateway]==$version" "$@" ||
        fail "these wheels do not fit $("$python" -V) on $(uname -m); take the bundle made for this system"
    "$opt/versions/$release/bin/edge-agent" version
    sync
    echo "$print" >"$opt/versions/$release/complete"
    sync
}

# put FILE PLACE: copies what differs, whole or not at all.
put() {
    cmp -s "$1" "$2" && return
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new"
    chmod 644 "$2.new"
    mv "$2.new" "$2"
}

# Writes the files of the system as a version wants them, and makes user and folders.
fit_system() {
    files=$opt/versions/$1/share/edge-agent
    etc=$root/etc
    if [ "$package" = no ]; then
        put "$files/systemd/edge-agent.service" "$etc/systemd/system/edge-agent.service"
        put "$files/systemd/edge-agent.sysusers.conf" "$etc/sysusers.d/edge-agent.conf"
        put "$files/systemd/edge-agent.tmpfiles.conf" "$etc/tmpfiles.d/edge-agent.conf"
        put "$files/systemd/edge-agent.rules" "$etc/udev/rules.d/60-edge-agent.rules"
        mkdir -p "$root/usr/local/bin"
        ln -sfn "$opt/current/bin/edge-agent" "$root/usr/local/bin/edge-agent"
    fi
    if [ "$(id -u)" -eq 0 ]; then
        systemd-sysusers ${root:+"--root=$root"} "$files/systemd/edge-agent.sysusers.conf"
        systemd-tmpfiles ${root:+"--root=$root"} --create "$files/systemd/edge-agent.tmpfiles.conf"
    else
        mkdir -p "$etc/edge-agent" "$root/var/lib/edge-agent"
    fi
    mkdir -p "$root/run/edge-agent"
    [ -f "$etc/edge-agent/agent.toml" ] || put "$files/agent.toml" "$etc/edge-agent/agent.toml"
    [ -z "$root" ] || return 0
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
    [ -d /run/udev ] || return 0
    if ! udevadm control --reload || ! udevadm trigger --subsystem-match=tty --subsystem-match=gpio; then
        say "udev does not take its rules now; they hold from the next start on"
    fi
}

# Leads the link `current` to a version, in one step.
switch_to() {
    ln -sfn "versions/$1" "$opt/current.new"
    mv -T "$opt/current.new" "$opt/current"
    sync
}

take_back() {
    trap '' HUP INT TERM
    judged=no
    say "going back to $was"
    switch_to "$was"
    if [ -n "$earlier" ]; then ln -sfn "$earlier" "$opt/previous"; else rm -f "$opt/previous"; fi
    fit_system "$was"
    serve restart || say "$was could not be started: journalctl -u edge-agent"
}

leave() {
    [ "$judged" = no ] || take_back
    rm -rf "$scratch"
}

current() { [ ! -L "$opt/current" ] || basename "$(readlink "$opt/current")"; }

install_it() {
    find_wheels
    build
    was=$(current)
    if [ -z "$was" ]; then
        fit_system "$release"
        switch_to "$release"
        [ -n "$root" ] || ! command -v systemctl >/dev/null || systemctl -q enable edge-agent
        say "$release is installed, and not started yet. Make $root/etc/edge-agent/agent.toml with sudo edge-agent init, then:"
        say "  sudo edge-agent check && sudo systemctl start edge-agent"
    elif [ "$was" = "$release" ]; then
        fit_system "$release"
        say "$release is what runs here; nothing was restarted"
    elif serve active; then
        upgrade
    else
        fit_system "$release"
        switch_to "$release"
        ln -sfn "versions/$was" "$opt/previous"
        say "$release takes the place of $was. It was not running, and is not started; so it was not judged."
    fi
}

upgrade() {
    before=$scratch/before.json
    "$opt/current/bin/edge-agent" status --json --socket "$control" >"$before" 2>/dev/null || true
    earlier=$(readlink "$opt/previous" || true)
    ln -sfn "versions/$was" "$opt/previous"
    judged=yes
    say "$was is replaced by $release, which has $within to become healthy"
    switch_to "$release"
    fit_system "$release"
    serve restart || fail "$release does not start"
    # The one before judges: it is known to work.
    "$opt/versions/$was/bin/edge-agent" healthy --before "$before" --within "$within" --socket "$control" ||
        fail "$release is not kept; it stays in $opt/versions/$release to be looked at"
    judged=no
    for old in "$opt"/versions/*; do
        case ${old##*/} in "$release" | "$was") ;; *) rm -rf "$old" ;; esac
    done
    say "$release runs and is healthy; \`install.sh --rollback\` goes back to $was"
}

roll_back() {
    [ -L "$opt/previous" ] || fail "there is no version before the one that runs"
    was=$(basename "$(readlink "$opt/previous")")
    [ -f "$opt/versions/$was/complete" ] || fail "$opt/versions/$was is not whole; install it again from its bundle"
    ran=$(current)
    switch_to "$was"
    ln -sfn "versions/$ran" "$opt/previous"
    fit_system "$was"
    if serve active; then serve restart; fi
    say "$was is the one that runs; it opens the outbox of $ran"
}

uninstall() {
    if serve active; then serve stop; fi
    [ -n "$root" ] || ! command -v systemctl >/dev/null || systemctl -q disable edge-agent || true
    if [ "$package" = no ]; then
        for file in systemd/system/edge-agent.service sysusers.d/edge-agent.conf tmpfiles.d/edge-agent.conf \
            udev/rules.d/60-edge-agent.rules; do
            rm -f "$root/etc/$file"
        done
        rm -f "$root/usr/local/bin/edge-agent"
        [ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
    fi
    rm -rf "$opt/versions" "$opt/current" "$opt/previous" "$root/run/edge-agent"
    rmdir "$opt" 2>/dev/null || [ ! -d "$opt" ] || say "$opt/drivers is not mine and stays"
    if [ "$purge" = yes ]; then
        rm -rf "$root/etc/edge-agent" "$root/var/lib/edge-agent" "${opt:?}"
        [ -n "$root" ] || ! getent passwd edge-agent >/dev/null || userdel edge-agent
        say "taken away, with its configuration and readings"
    else
        say "taken away; $root/etc/edge-agent and $root/var/lib/edge-agent stay (--purge removes them, too)"
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
        install) ;;
        --upgrade) verb=upgrade ;;
        --rollback) verb=rollback ;;
        --uninstall) verb=uninstall ;;
        --purge) purge=yes ;;
        --package) package=yes ;;
        --within | --root | --service)
            [ $# -ge 2 ] || fail "$1 needs a value; see $0 --help"
            case $1 in
                --within) within=$2 ;;
                --root) root=$(mkdir -p "$2" && CDPATH='' cd -- "$2" && pwd) ;;
                --service) service=$2 ;;
            esac
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "what is $1? See $0 --help" ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$verb" = uninstall ] || fail "--purge is for --uninstall only"

[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "it needs root: sudo $0"

opt=$root/opt/edge-agent
control=$root/run/edge-agent/control.sock
mkdir -p "$root/run"
exec 9>"$root/run/edge-agent-install.lock"
flock -n 9 || fail "another install.sh is at work here"
scratch=$(mktemp -d)
trap leave EXIT
trap 'exit 1' HUP INT TERM

case $verb in
    install | upgrade)
        check_machine
        [ "$verb" = install ] || [ -n "$(current)" ] || fail "there is nothing to upgrade; run it without --upgrade"
        install_it
        ;;
    rollback) roll_back ;;
    uninstall) uninstall ;;
esac
