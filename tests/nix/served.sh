#!/usr/bin/env bash
# What `nix run` starts, run as an ordinary user until it is ready, then stopped: served.sh PROGRAM
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chown 1000:1000 "$folder"
port=$(for p in $(shuf -i 20000-29999 -n 20); do (: < "/dev/tcp/127.0.0.1/$p") 2> /dev/null || { echo "$p"; break; }; done)
cd "$folder"
setpriv --reuid=1000 --regid=1000 --clear-groups env -i HOME="$folder" PATH=/usr/bin:/bin PORT="$port" "$1" > "$folder/log" 2>&1 &
pid=$!
trap 'kill $pid 2> /dev/null || :; wait $pid || :; rm -rf "$folder"' EXIT
for _ in $(seq 300); do
  ! grep -q "The assistant is ready: http://127.0.0.1:$port" "$folder/log" || exit 0
  kill -0 $pid 2> /dev/null || break
  sleep 0.2
done
cat "$folder/log" >&2
echo "FAILED: it did not become ready" >&2
exit 1
