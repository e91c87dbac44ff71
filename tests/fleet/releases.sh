#!/usr/bin/env bash
# Releases for tests of deploy.yml: this tree with one change each, built with the stand-in, signed with the key that
# the image trusts. Usage: releases.sh OUT [NAME...]       OUT/NAME holds the store path, OUT/cache the releases,
# OUT/stranger the one that is signed with another key. RELEASE (build/release) has the key, WORK (build/nix) the store.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath -m "$1")
shift
work=${WORK:-$root/build/nix} release=${RELEASE:-$root/build/release}
fail() { echo "$*" >&2; exit 1; }
mkdir -p "$out" "$work"
"$root/tests/nix/prepare.sh" "$work" >&2
# shellcheck source=../nix/build.sh
. "$root/tests/nix/build.sh"

step() { printf '%s\n' "$2" > "app/stores/migrations/$1.sql"; } # name, text
good() { step 9001_adds "-- needs: $newest"$'\n'"ALTER TABLE documents ADD COLUMN remark text;"; }
better() { good; } # one more, to go on to
dead() { sed -i 's/^    ensure_port_free(.*/    raise SystemExit("this release does not start")/' app/service.py; }
wrong() { sed -i 's/^THRESHOLD = .*/THRESHOLD = 99.0/' app/answering/extractive.py; }
slow() { sed -i 's/^    try:$/    import asyncio; await asyncio.sleep(2)\n    try:/' app/api/routes/questions.py; }
broken() { step 9001_broken "-- needs: $newest"$'\n'"ALTER TABLE nowhere ADD COLUMN remark text;"; }
taking() { step 9001_takes "ALTER TABLE documents DROP COLUMN message;"; }
strange() { :; }

number=0
[ $# -gt 0 ] || set -- good better dead wrong slow broken taking strange
for name in "$@"; do
  number=$((number + 1))
  make_source "test-$name" "0.1.0.dev$number"
  cd "$work/test-$name"
  newest=$(basename "$(find app/stores/migrations -name '[0-8]*.sql' | sort | tail -n 1)" .sql)
  "$name"
  cd "$root"
  commit_source "test-$name"
  path=$(build store "test-$name" application)
  cache=$out/cache key=$release/release.key
  if [ "$name" = strange ]; then
    cache=$out/stranger key=$out/stranger.key
    [ -e "$key" ] || nix-store --generate-binary-cache-key stranger-1 "$key" "$key.pub"
  fi
  NIX_REMOTE=$work/store "$root/nix/deliver/publish.sh" "$path" "$cache" "$key"
  echo "$path" > "$out/$name"
  rm -rf "${work:?}/test-$name"
done
