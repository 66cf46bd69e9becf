#!/bin/sh
# Install the programs that the tests run against: as root with apt-get, otherwise say which are missing.
# `needs.sh interop`: also those of `make interop`; where their services should not start, see policy-rc.d(8).
set -eu
PATH=$PATH:/usr/sbin:/sbin

missing=
need() { # need PACKAGES COMMAND...: the packages are missing if the command fails
    packages=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $packages"
}
compiles() { echo '#include <stdio.h>' | cc -E - ; }
makes_venvs() {
    [ -x .venv/bin/pip ] || python3 -c 'import ensurepip, venv'
}

need python3-venv makes_venvs
need mosquitto command -v mosquitto
need mosquitto-clients command -v mosquitto_sub
need socat command -v socat
need mbpoll command -v mbpoll
need "gcc libc6-dev" compiles
need pkg-config command -v pkg-config
need libmodbus-dev pkg-config --exists libmodbus
need dbus-daemon command -v dbus-daemon
need systemd command -v systemd-analyze
need shellcheck command -v shellcheck
need faketime command -v faketime
need chromium command -v chromium
need "fonts-wqy-microhei fontconfig" sh -c 'fc-list :lang=zh | grep -q .'
need curl command -v curl
need nodejs command -v node
need npm command -v npm
need prometheus command -v promtool
need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
if [ "${1:-}" = interop ]; then
    need rabbitmq-server test -x /usr/lib/rabbitmq/bin/rabbitmq-server
    need ejabberd sh -c 'ls -d /usr/lib/*/ejabberd-*'
    need nats-server command -v nats-server
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests need more than is installed here: sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of packages
apt-get install -q -y --no-install-recommends $missing
