#!/usr/bin/env bash
# Build the application with Nix and put it, signed, into a folder: OUT/cache, OUT/path, OUT/release.pub;
# OUT/variables.json says the same to Ansible (-e @FILE).
# The signing key is made once, as OUT/release.key; it belongs nowhere else.
# Usage: release.sh [--stand-in] [OUT]        OUT: build/release
#   --stand-in   a try without GitHub and the Nix cache: Debian's packages stand for nixpkgs (tests/nix-standin)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
stand_in=''
case ${1:-} in
  -h | --help) sed -n '2,6s/^# //p' "$0"; exit 0 ;;
  --stand-in) stand_in=1; shift ;;
esac
out=$(realpath -m "${1:-$root/build/release}")
mkdir -p "$out"

with_nixpkgs() {
  command -v nix > /dev/null || {
    echo "Nix is missing (Debian: apt install nix-bin). Without a way to GitHub and the Nix cache, try --stand-in." >&2
    exit 1
  }
  nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths "$root#application" \
    2> "$out/log" || {
    tail -n 5 "$out/log" >&2
    echo "The application was not built; all of it is in $out/log. If GitHub or the Nix cache cannot be reached from here," \
      "--stand-in makes a release for a try, out of Debian's packages." >&2
    exit 1
  }
}

# The folder that `make nix-test` uses as well, with a store of its own.
with_stand_in() {
  work=${WORK:-$root/build/nix}
  mkdir -p "$work"
  "$root/tests/nix/prepare.sh" "$work" >&2
  fail() { echo "$*" >&2; exit 1; }
  # shellcheck source=../tests/nix/build.sh
  . "$root/tests/nix/build.sh"
  make_source release "$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml")"
  commit_source release
  path=$(build store release application)
}

path=''
if [ -n "$stand_in" ]; then
  with_stand_in
  export NIX_REMOTE=$work/store
else
  path=$(with_nixpkgs)
fi
[ -n "$path" ] || exit 1
[ -f "$out/release.key" ] || {
  (umask 077 && nix-store --generate-binary-cache-key "knowledge-assistant-1" "$out/release.key.new" "$out/release.pub")
  mv "$out/release.key.new" "$out/release.key"
}
"$root/nix/deliver/publish.sh" "$path" "$out/cache" "$out/release.key"
printf '{"release_path": "%s", "release_cache": "%s", "release_public_key": "%s"}\n' \
  "$path" "$out/cache" "$(cat "$out/release.pub")" > "$out/variables.json"
echo "$path" > "$out/path"
