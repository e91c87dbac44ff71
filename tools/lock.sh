#!/bin/sh
# Renew requirements.lock and requirements-dev.lock. Extra options for uv go into UV_FLAGS.
set -eu
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate ${UV_FLAGS-} "$@"
}
compile pyproject.toml -o requirements.lock
compile --group dev -c requirements.lock -o requirements-dev.lock
