#!/usr/bin/env bash
# `make nix-test`: builds the application with the stand-in for nixpkgs, carries it to a bare Debian 13 root without
# Python, and uses, switches, breaks and mends it there. WORK (build/nix) keeps what can be used again.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${WORK:-$root/build/nix}
mkdir -p "$work"
here=$root/tests/nix

fail() { echo "FAILED: $*" >&2; exit 1; }
step() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

step "what it needs"
"$here/prepare.sh" "$work"
# shellcheck source=build.sh
. "$here/build.sh"

step "two releases, in a store of their own"
make_source one 0.1.0
commit_source one
make_source two 0.1.1
commit_source two
one=$(build store one application)
rm -rf "$work/again" 2> /dev/null || { chmod -R u+w "$work/again"; rm -rf "$work/again"; }
begun=$SECONDS
two=$(build store two application)
step "a change of the application alone took $((SECONDS - begun)) s"

if [ -z "${QUICK:-}" ]; then
  step "the first once more, in an empty store"
  build again one application > /dev/null
  same_in_two_stores
  chmod -R u+w "$work/again"
  rm -rf "$work/again"
  step "checks: imports, unit tests, lint, closure"
  in_store store nix flake check "git+file://$work/one" 2> "$work/log" || { tail -n 60 "$work/log" >&2; fail "nix flake check"; }
  step "bad locks"
  bad_locks
  step "nix develop"
  out=$(cd "$work/one" && in_store store nix develop "git+file://$work/one" -c sh -c \
    'ka --version; pytest --version; mypy --version; ruff --version; python -c "import app.ui, onnx, hypothesis"' 2> "$work/log") ||
    { cat "$work/log" >&2; fail "nix develop"; }
  expect "ka 0.1.0" "$out"
  step "what nix run starts, as an ordinary user"
  serve=$(build store one serve)/bin/serve
  with_store "$root/tests/nix/served.sh" "$serve"

  step "the packaged application under the tests of the service and, with Chromium, of the UI"
  make -s -C "$root" setup-dev
  (cd "$root" && tools/chromium.sh)
  with_store env KA_UNDER_TEST="$one/bin/ka" "$root/.venv/bin/python" -m pytest -q -p no:cacheprovider "$root/tests/browser" \
    "$root"/tests/integration/test_{samples_answer,ui_served,bad_input,service}.py
fi

step "a release that is too large for the host"
make_source three 0.1.2
head -c 250000000 /dev/urandom > "$work/three/app/samples/large.bin"
commit_source three
three=$(build store three application)

step "a signed cache"
cache=$work/cache
rm -rf "$cache" "$work/secret.key" "$work/public.key" "$work/unsigned"
nix-store --generate-binary-cache-key "nix-test-1" "$work/secret.key" "$work/public.key"
nix-store --generate-binary-cache-key "stranger-1" "$work/stranger.key" "$work/stranger.pub"
for path in "$one" "$two" "$three"; do
  NIX_REMOTE=$work/store "$root/nix/deliver/publish.sh" "$path" "$cache" "$work/secret.key"
done
echo "    $(du -sm "$cache" | cut -f 1) MB for three releases"
# the second release signed by somebody whom the host does not know
NIX_REMOTE=$work/store "$root/nix/deliver/publish.sh" "$two" "$work/unsigned" "$work/stranger.key" > /dev/null

step "a bare Debian 13 host"
export root work here cache one two three
unshare --mount --pid --fork --kill-child --propagation private --mount-proc bash "$here/on-host.sh"
rm -rf "$work/three" "$work/host" "$cache" "$work/unsigned"
step "done"
