#!/bin/sh
# Prints the path of a working uv. Where there is none, installs one through pip into .tools/, touching nothing else.
set -eu
cd "$(dirname "$0")/.."

if command -v uv >/dev/null 2>&1; then command -v uv; exit 0; fi
if [ -x .tools/bin/uv ]; then echo "$PWD/.tools/bin/uv"; exit 0; fi

python=
for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "error: no Python 3.11 or newer on this machine" >&2
    echo "hint: install one (Debian and Ubuntu: apt-get install python3 python3-venv), then run make again" >&2
    exit 1
fi

{
    "$python" -m venv .tools || {
        # Debian splits ensurepip out of python3; without it a venv has no pip of its own.
        rm -rf .tools
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            apt-get update -qq && apt-get install -y -qq python3-venv && "$python" -m venv .tools
        else
            echo "error: this Python cannot make a virtual environment" >&2
            echo "hint: install python3-venv (Debian and Ubuntu) or put uv on the PATH, then run make again" >&2
            exit 1
        fi
    }
    .tools/bin/python -m pip install --quiet --disable-pip-version-check uv
} >&2
echo "$PWD/.tools/bin/uv"
