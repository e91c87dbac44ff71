#!/bin/sh
# Make the virtual environment for operating: Ansible and its linter, from requirements-ops.lock.
# Usage: ops.sh VENV         (PYTHON_FOR_VENV names the interpreter; it needs Python 3.11 to 3.13)
set -eu
case ${1:-} in -h | --help | '') sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
venv=$1
lock=$(dirname "$0")/../requirements-ops.lock

# shellcheck source=python.sh
. "$(dirname "$0")/python.sh"

if [ "$venv/.ready" -nt "$lock" ] && suitable "$venv/bin/python"; then exit; fi
make_venv "$venv"
echo "Installing Ansible (about 120 MB on disk; half a minute)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
touch "$venv/.ready"
