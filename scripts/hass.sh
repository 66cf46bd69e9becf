#!/bin/sh
# Make a virtual environment with Home Assistant in it, for `make interop`: hass.sh FOLDER. It needs Python 3.13.
set -eu
unset PIP_CONSTRAINT PIP_BUILD_CONSTRAINT # these are ours, not its
[ ! -x "$1/bin/hass" ] || exit 0
asked='import json, pathlib, homeassistant
mqtt = pathlib.Path(homeassistant.__file__).parent / "components" / "mqtt" / "manifest.json"
print(*json.loads(mqtt.read_text())["requirements"])'
for python in python3.14 python3.13; do
    "$python" -c '' 2>/dev/null || continue
    echo "installing Home Assistant in $1" >&2
    # shellcheck disable=SC2046 # a list of packages
    "$python" -m venv "$1" && "$1/bin/pip" install -q homeassistant && "$1/bin/pip" install -q $("$1/bin/python" -c "$asked") && exit 0
    rm -rf "$1"
done
echo "Home Assistant does not install here; its tests will say so" >&2
