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

# The closure, as the cache describes it: a narinfo names its references.
closure() {
  todo=$1 seen=
  while [ -n "$todo" ]; do
    name=${todo%% *} rest=${todo#"$name"}
    todo=${rest# }
    case " $seen " in *" $name "*) continue ;; esac
    seen="$seen $name"
    info=$cache/${name%%-*}.narinfo
    [ -f "$info" ] || { echo "$name is not in the cache $cache: publish it first (publish.sh)." >&2; return 1; }
    todo="$todo${todo:+ }$(sed -n 's/^References: *//p' "$info")"
    todo=${todo% }
  done
  echo "$seen"
}

names=$(closure "${path#/nix/store/}")
paths=
for name in $names; do paths="$paths /nix/store/$name"; done
# shellcheck disable=SC2086
missing=$(on_host nix-store --check-validity --print-invalid $paths)
list=$(mktemp)
trap 'rm -f "$list"' EXIT
echo nix-cache-info > "$list"
for name in $names; do echo "${name%%-*}.narinfo" >> "$list"; done
for missed in $missing; do
  name=${missed#/nix/store/}
  sed -n 's/^URL: *//p' "$cache/${name%%-*}.narinfo" >> "$list"
done
bytes=$(cd "$cache" && xargs cat < "$list" | wc -c)
tar -C "$cache" -c -T "$list" | on_host "rm -rf $incoming && mkdir -m 700 $incoming && tar -x -C $incoming" || {
  on_host "rm -rf $incoming" || :
  echo "The release did not arrive whole on $host (is its disk full?). Nothing was changed there." >&2
  exit 1
}
on_host "sh -s -- receive $path $incoming" < "$here/host.sh"
echo "$host has $path ($bytes bytes sent)"
