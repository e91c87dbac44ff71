#!/bin/sh
# Put a release into a signed binary cache: a folder that can be copied, served or kept in a bucket.
# Usage: publish.sh STORE_PATH CACHE_DIR SECRET_KEY_FILE
#
# Make the key once, keep it off the hosts, and give them the public half:
#   nix-store --generate-binary-cache-key releases-1 secret.key public.key
set -eu
path=$(readlink -f "$1") cache=$(realpath -m "$2") key=$(realpath "$3")
mkdir -p "$cache"
nix --extra-experimental-features nix-command copy --quiet \
  --to "file://$cache?compression=zstd&secret-key=$key" "$path"
echo "$path is in $cache"
