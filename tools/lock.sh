#!/bin/sh
# Renew requirements.lock, requirements-dev.lock and requirements-ops.lock. Extra options for uv go into UV_FLAGS.
set -eu
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate ${UV_FLAGS-} "$@"
}
compile pyproject.toml -o requirements.lock
compile --group dev -c requirements.lock -o requirements-dev.lock
compile --group ops -c requirements.lock -c requirements-dev.lock -o requirements-ops.lock
# The wheels of each lock have a hash of their own for Nix; a lock without a new hash does not build there.
if command -v nix >/dev/null; then
  nix/hashes.sh
else
  echo "nix is not installed: run nix/hashes.sh where it is, or nothing can be built with Nix from these locks." >&2
fi
