#!/bin/sh
# Make a virtual environment where there is none that works: scripts/venv.sh FOLDER.
# PYTHON names the interpreter; without it, the first one found that is new enough.
set -eu
venv=$1
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

if [ -x "$venv/bin/pip" ] && "$venv/bin/python" -c "$new_enough" 2>/dev/null && [ -z "${PYTHON:-}" ]; then
    exit 0
fi

found=
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$python" -c "$new_enough" 2>/dev/null; then
        found=$python
        break
    fi
done
if [ -z "$found" ]; then
    echo "edge-agent needs Python 3.11 or newer, and found none under: ${PYTHON:-python3, python3.11 to python3.14}" >&2
    echo "install one (Debian 12 and newer have it: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$found cannot make virtual environments: apt-get install python3-venv (or run make test as root, which does)" >&2
    exit 1
fi
echo "making $venv with $("$found" -V)"
"$found" -m venv --clear "$venv"
