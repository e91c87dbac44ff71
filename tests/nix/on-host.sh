# The part of run.sh that has a Debian 13 root as its host; in namespaces of its own, so nothing stays behind.
set -euo pipefail
host=$work/host
port=$(bash -c 'for p in $(shuf -i 20000-29999 -n 20); do (: < /dev/tcp/127.0.0.1/$p) 2> /dev/null || { echo $p; break; }; done')
url=http://127.0.0.1:$port
data=/home/ka/data

fail() { echo "FAILED: $*" >&2; exit 1; }
say() { printf '  %s\n' "$*"; }

make_host() {
  rm -rf --one-file-system "$host"
  mkdir -p "$host"
  tar -x -C "$host" -f "$work/host.tar" --exclude='./dev/*'
  mount --bind "$host" "$host"
  mount --rbind /dev "$host/dev"
  mount -t proc proc "$host/proc"
  mkdir -p "$host/nix" "$host/run/sshd" "$host/etc/nix" "$host/root/.ssh" "$host/home/ka"
  # the store's disk is small on purpose: two releases fit, the third does not
  mount -t tmpfs -o size=720m,mode=755 tmpfs "$host/nix"
  {
    echo "experimental-features = nix-command flakes"
    echo "build-users-group ="
    echo "substituters ="
    echo "trusted-public-keys = $(cat "$work/public.key")"
  } > "$host/etc/nix/nix.conf"
  echo "ka:x:1000:1000::/home/ka:/bin/sh" >> "$host/etc/passwd"
  echo "ka:x:1000:" >> "$host/etc/group"
  chown 1000:1000 "$host/home/ka"
  ! chroot "$host" sh -c 'command -v python3 || command -v python' || fail "the host has a Python"
  rm -f "$work/key" "$work/key.pub"
  ssh-keygen -q -t ed25519 -N "" -f "$work/key"
  cp "$work/key.pub" "$host/root/.ssh/authorized_keys"
  chown -R 0:0 "$host/root"
  chmod 700 "$host/root" "$host/root/.ssh"
  chroot "$host" ssh-keygen -A > /dev/null
  cat > "$work/ssh_config" <<CONF
Host debian
  User root
  IdentityFile $work/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ProxyCommand chroot $host /usr/sbin/sshd -i -o UsePAM=no
CONF
  cp "$here/service.sh" "$host/usr/local/bin/service"
  chmod 755 "$host/usr/local/bin/service"
}

# shellcheck source=build.sh
. "$here/build.sh"
export KA_SSH="ssh -F $work/ssh_config"
on_host() { $KA_SSH debian "KA_RESTART='service restart $port' sh -s -- $*" < "$root/nix/deliver/host.sh"; }
send() { NIX_REMOTE=$work/store "$root/nix/deliver/send.sh" debian "$1" "${2:-$cache}"; }
inside() { chroot "$host" env -i HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
profile() { inside nix-env --profile /nix/var/nix/profiles/ka "$@"; }
ka() { chroot --userspec=1000:1000 "$host" env -i HOME=/home/ka PATH=/usr/bin:/bin /nix/var/nix/profiles/ka/bin/ka "$@"; }
serves() { # release
  local answer
  answer=$(chroot "$host" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; printf \"GET /version HTTP/1.0\r\nHost: 127.0.0.1:$port\r\n\r\n\" >&3; cat <&3")
  case $answer in *"$1"*) ;; *) fail "not $1 but: $answer" ;; esac
}
milliseconds() { echo $((($(date +%s%N) - $1) / 1000000)); }

make_host
say "the closure arrives, checked and signed"
begun=$(date +%s%N)
send "$one"
say "whole closure: $(milliseconds "$begun") ms"
begun=$(date +%s%N)
on_host switch "$one"
say "switched, started and ready: $(milliseconds "$begun") ms"
serves "$one"
serves '"release":"0.1.0"'
serves "\"commit\":\"$(git -C "$work/one" rev-parse HEAD)\""
ka --version

say "an ordinary user takes in a document and asks"
ka ingest --url "$url" "$one/lib/python3.13/site-packages/app/samples/files/Employee handbook.md"
answer=$(ka ask --url "$url" "How many days of holiday does everybody have?")
echo "$answer" | head -n 3
case $answer in *handbook*) ;; *) fail "the answer cites nothing" ;; esac

say "a stranger's signature is refused"
out=$(send "$two" "$work/unsigned" 2>&1) && fail "a stranger's release was taken"
case $out in *"was not taken"*) ;; *) fail "$out" ;; esac
echo "$out" | grep -m 1 -i signature
serves "$one"
out=$(on_host switch "$two" 2>&1) && fail "a release that is not there was switched to"
case $out in *"send it first"*) ;; *) fail "$out" ;; esac

say "a change of the application alone"
begun=$(date +%s%N)
send "$two" | tee "$work/sent"
say "sent: $(milliseconds "$begun") ms"
bytes=$(sed -n 's/.*(\([0-9]*\) bytes sent)/\1/p' "$work/sent")
[ "$bytes" -lt 1000000 ] || fail "$bytes bytes were sent"

say "a switch while documents are being read"
cp -r "$one/lib/python3.13/site-packages/app/samples/files" "$host/home/ka/files" 2> /dev/null ||
  cp -r "$host$one/lib/python3.13/site-packages/app/samples/files" "$host/home/ka/files"
ka ingest --no-wait --url "$url" /home/ka/files > /dev/null
begun=$(date +%s%N)
on_host switch "$two"
say "with restart: $(milliseconds "$begun") ms"
serves '"release":"0.1.1"'
for _ in $(seq 120); do
  states=$(ka status --json --url "$url")
  [ "$(echo "$states" | grep -c '"state": "ready"')" -lt 5 ] || break
  sleep 0.5
done
[ "$(echo "$states" | grep -c '"state": "ready"')" = 5 ] || { echo "$states" >&2; fail "documents were lost in the switch"; }

say "back, and the switch itself"
on_host rollback
serves '"release":"0.1.0"'
begun=$(date +%s%N)
profile --set "$two"
say "the profile alone: $(milliseconds "$begun") ms"
profile --set "$one"

say "a disk that fills up while a release arrives"
out=$(send "$three" 2>&1) && fail "a release larger than the disk was taken"
case $out in *"was not taken"* | *"did not arrive whole"*) ;; *) fail "$out" ;; esac
echo "$out" | grep -m 1 -i "no space"
serves '"release":"0.1.0"'

say "a release that does not start"
inside touch /run/broken
out=$(on_host switch "$two" 2>&1) && fail "a release that does not start was kept"
case $out in *"back to $one"*) ;; *) fail "$out" ;; esac
serves '"release":"0.1.0"'

say "generations are kept, five of them"
for path in "$two" "$one" "$two" "$one"; do profile --set "$path"; done
on_host collect
kept=$(on_host list | wc -l)
[ "$kept" = 5 ] || fail "$kept generations are kept"
serves '"release":"0.1.0"'

say "another Nix ($(inside nix --version), here $(nix --version)) means the same derivations"
mkdir -p "$host$work/one" "$host$work/seed"
mount --bind -o ro "$work/one" "$host$work/one"
mount --bind -o ro "$work/seed" "$host$work/seed"
for what in environment model application; do
  here_says=$(in_store store nix eval --raw "path:$work/one#$what.drvPath")
  there_says=$(inside nix --store /var/tmp/store eval --raw "path:$work/one#$what.drvPath")
  [ "$here_says" = "$there_says" ] || fail "$what: $here_says here, $there_says there"
  echo "    $here_says"
done

say "nothing has written into the store"
on_host verify
inside service stop "$port"
