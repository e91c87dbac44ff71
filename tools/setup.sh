#!/bin/sh
# Make the virtual environment from the locks, and the embedding model from its weights.
# Usage: setup.sh [--dev] VENV MODEL_DIR
set -eu
dev=
if [ "$1" = --dev ]; then dev=1; shift; fi
venv=$1 model=$2

# shellcheck source=python.sh
. "$(dirname "$0")/python.sh"

install() {
  # the locks are complete, so nothing is resolved; hashes are checked
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes "$@"
}

make_venv "$venv"

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
