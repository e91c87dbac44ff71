#!/bin/sh
# Make the virtual environment for operating: Ansible and its linter, from requirements-ops.lock.
# Usage: ops.sh VENV         (PYTHON_FOR_VENV names the interpreter; it needs Python 3.11 to 3.13)
set -eu
case ${1:-} in -h | --help | '') sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
venv=$1
lock=$(dirname "$0")/../requirements-ops.lock

suitable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  for name in ${PYTHON_FOR_VENV:-} python3 python3.13 python3.12 python3.11; do
    if suitable "$name"; then echo "$name"; return; fi
  done
  echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install one (Debian: apt install python3)." >&2
  exit 1
}

if [ "$venv/.ready" -nt "$lock" ] && suitable "$venv/bin/python"; then exit; fi
if ! suitable "$venv/bin/python"; then
  python=$(find_python)
  echo "Making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" || {
    echo "Python's venv module is missing. Install it (Debian: sudo apt install python3-venv), then run this again." >&2
    exit 1
  }
fi
echo "Installing Ansible (about 120 MB on disk; half a minute)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
touch "$venv/.ready"
