#!/bin/sh
# Stands for systemd on the host of `make nix-test`: service restart|stop PORT, as the user ka.
set -eu
profile=/nix/var/nix/profiles/ka
stop() {
  [ -e /run/ka.pid ] || return 0
  pid=$(cat /run/ka.pid)
  kill "$pid" 2> /dev/null || return 0
  while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
}
ready() {
  bash -c 'exec 3<> "/dev/tcp/127.0.0.1/$0" && printf "GET /readyz HTTP/1.0\r\nHost: 127.0.0.1:$0\r\n\r\n" >&3 &&
    grep -q "\"ready\":true" <&3' "$1" 2> /dev/null
}
stop
[ "$1" != stop ] || exit 0
if [ -e /run/broken ]; then rm /run/broken; exit 1; fi
cd /home/ka
setpriv --reuid=1000 --regid=1000 --clear-groups env -i HOME=/home/ka PATH=/usr/bin:/bin \
  "$profile/bin/ka" serve --data /home/ka/data --port "$2" > /home/ka/log 2>&1 < /dev/null &
echo $! > /run/ka.pid
for _ in $(seq 600); do
  if ready "$2"; then exit 0; fi
  kill -0 "$(cat /run/ka.pid)" 2> /dev/null || break
  sleep 0.1
done
tail -n 20 /home/ka/log >&2
exit 1
