#!/bin/sh
# Make the virtual environment from the locks, and the embedding model from its weights.
# Usage: setup.sh [--dev] VENV MODEL_DIR
set -eu
dev=
if [ "$1" = --dev ]; then dev=1; shift; fi
venv=$1 model=$2

suitable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  for name in ${PYTHON_FOR_VENV:-} python3 python3.13 python3.12 python3.11; do
    if suitable "$name"; then echo "$name"; return; fi
  done
  echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install one (Debian: apt install python3)." >&2
  exit 1
}

# Debian's python3 comes without the part that makes virtual environments.
ensure_venv() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing python3-venv"
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv; } >/dev/null && return
  fi
  echo "Python's venv module is missing. Install it (Debian: sudo apt install python3-venv), then run this again." >&2
  exit 1
}

install() {
  # the locks are complete, so nothing is resolved; hashes are checked
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes "$@"
}

if ! suitable "$venv/bin/python"; then
  python=$(find_python)
  ensure_venv "$python"
  echo "Making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi

if [ -n "$dev" ]; then
  echo "Installing the tools for tests and lint"
  install -r requirements-dev.lock
  touch "$venv/.ready-dev"
  exit
fi

echo "Installing the locked packages (about 1 GB on disk; a minute or two)"
install -r requirements.lock
# The application itself runs from this folder: a file that puts it on the path, and the command.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd > "$site/knowledge-assistant.pth"
cat > "$venv/bin/ka" <<KA
#!$PWD/$venv/bin/python
from app.cli import main

main()
KA
chmod +x "$venv/bin/ka"
"$venv/bin/python" -m app.embedding.build "$model"
touch "$venv/.ready"
