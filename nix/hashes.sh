#!/bin/sh
# Renew nix/hashes.json: for each lock its own hash and the hash of the folder of wheels it names. Part of
# `make lock`. Needs nix; arguments go to it. Downloads all wheels once.
set -eu
cd "$(dirname "$0")/.."
unknown=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
kept=$(mktemp)
trap 'cp "$kept" nix/hashes.json; rm -f "$kept"' EXIT # whatever fails, the old hashes stay
cp nix/hashes.json "$kept"

write() {
  printf '{\n  "requirements.lock": {\n    "lock": "%s",\n    "wheelhouse": "%s"\n  },\n' "$1" "$2"
  printf '  "requirements-dev.lock": {\n    "lock": "%s",\n    "wheelhouse": "%s"\n  }\n}\n' "$3" "$4"
}
lock_hash() { sha256sum "$1" | cut -d " " -f 1; }
wheels_hash() {
  name=$1
  shift
  log=$(nix build --no-link ".#$name" "$@" 2>&1) || :
  hash=$(echo "$log" | sed -n 's/^ *got: *//p')
  [ -n "$hash" ] || { echo "$log" >&2; return 1; }
  echo "$hash"
}

first=$(lock_hash requirements.lock) second=$(lock_hash requirements-dev.lock)
write "$first" "$unknown" "$second" "$unknown" > nix/hashes.json
wheels=$(wheels_hash wheelhouse "$@")
tools=$(wheels_hash toolsWheelhouse "$@")
write "$first" "$wheels" "$second" "$tools" > "$kept"
