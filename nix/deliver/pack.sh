#!/bin/sh
# What a release needs, and what of it has to travel, out of the folder that publish.sh has filled.
#
#   pack.sh closure STORE_PATH CACHE    each store path it needs, with its bytes when unpacked
#   pack.sh archive STORE_PATH CACHE    a tar for `host.sh receive`, on standard output; on standard input the
#                                       store paths that the host lacks
set -eu
verb=$1 path=$2 cache=$3
store=/nix/store

info() { echo "$cache/${1%%-*}.narinfo"; }

# A narinfo names its references.
closure() {
  todo=${path#"$store"/} seen=
  while [ -n "$todo" ]; do
    name=${todo%% *} rest=${todo#"$name"}
    todo=${rest# }
    case " $seen " in *" $name "*) continue ;; esac
    seen="$seen $name"
    [ -f "$(info "$name")" ] || { echo "$name is not in $cache: publish it first (nix/deliver/publish.sh)." >&2; exit 1; }
    echo "$store/$name $(sed -n 's/^NarSize: *//p' "$(info "$name")")"
    todo="$todo${todo:+ }$(sed -n 's/^References: *//p' "$(info "$name")")"
    todo=${todo% }
  done
}

archive() {
  list=$(mktemp)
  trap 'rm -f "$list"' EXIT
  echo nix-cache-info > "$list"
  closure | while read -r name _; do name=${name#"$store"/} && echo "${name%%-*}.narinfo"; done >> "$list"
  while read -r name; do sed -n 's/^URL: *//p' "$(info "${name#"$store"/}")"; done >> "$list"
  tar -C "$cache" -c -T "$list"
}

case $verb in
  closure | archive) "$verb" ;;
  *) echo "usage: pack.sh closure|archive STORE_PATH CACHE" >&2; exit 2 ;;
esac
