#!/bin/sh
# Carry a release to a host that has Debian's nix-bin and SSH: only what the host lacks travels, and the host
# checks every signature before anything enters its store. Nothing is switched.
# Usage: send.sh HOST STORE_PATH CACHE_DIR      (options for ssh: KA_SSH, by default "ssh")
#
# Why not `nix copy --to ssh://HOST`: there the receiving side takes whatever it is sent; signatures are the
# sender's affair. Here the host trusts the key in its own /etc/nix/nix.conf and nobody else.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
host=$1 path=$2 cache=$3
ssh=${KA_SSH:-ssh}
incoming=/var/tmp/ka-incoming

on_host() { $ssh "$host" "$@"; }

archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
paths=$("$here/pack.sh" closure "$path" "$cache")
# shellcheck disable=SC2046
missing=$(on_host nix-store --check-validity --print-invalid $(echo "$paths" | cut -d ' ' -f 1))
echo "$missing" | sed '/^$/d' | "$here/pack.sh" archive "$path" "$cache" > "$archive"
on_host "rm -rf $incoming && mkdir -m 700 $incoming && tar -x -C $incoming" < "$archive" || {
  on_host "rm -rf $incoming" || :
  echo "The release did not arrive whole on $host (is its disk full?). Nothing was changed there." >&2
  exit 1
}
on_host "sh -s -- receive $path $incoming" < "$here/host.sh"
echo "$host has $path ($(wc -c < "$archive") bytes sent)"
