# Put CERTIFICATE and AUTHORITY (all that are trusted) beside the host's key, and a copy for each user whose
# service reads files; then tell the units that have not been told, whoever wrote the files.
# sh -s -- make|look "USER..." "UNIT..."
# Prints what was, or would be, changed.
set -eu
umask 077
mode=$1 users=$2 units=$3
folder=/etc/knowledge-assistant/tls
told=/run/knowledge-assistant/told
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
printf '%s\n' "$CERTIFICATE" | sed '/^$/d' > "$new/host.crt"
printf '%s\n' "$AUTHORITY" | sed '/^$/d' > "$new/ca.crt"
key=$folder/host.key
if [ -s "$key.next" ] &&
  [ "$(openssl pkey -in "$key.next" -pubout)" = "$(openssl x509 -in "$new/host.crt" -noout -pubkey)" ]; then
  key=$key.next
fi
cp "$key" "$new/host.key"
# restic reads both from one file
cat "$new/host.crt" "$new/host.key" > "$new/host.pem"
files="host.key host.crt host.pem ca.crt"

rights() { case $1 in *.key | *.pem) echo 600 ;; *) echo 644 ;; esac; }

same() { # FOLDER USER
  for file in $files; do
    cmp -s "$new/$file" "$1/$file" || return 1
    [ "$(stat -c '%U %a' "$1/$file")" = "$2 $(rights "$file")" ] || return 1
  done
}

put() { # FOLDER USER [SUFFIX]
  for file in $files; do
    install -o "$2" -g "$(id -gn "$2")" -m "$(rights "$file")" "$new/$file" "$1/$file${3:-}"
    sync "$1/$file${3:-}"
  done
}

# key and certificate belong together, so nobody may see one of them new and the other old: folders are exchanged
for user in $users; do
  if same "$folder/$user" "$user"; then continue; fi
  echo "$folder/$user"
  [ "$mode" = make ] || continue
  mkdir -p "$folder/$user"
  rm -rf "$folder/.$user"
  mkdir -m 755 "$folder/.$user"
  put "$folder/.$user" "$user"
  mv --exchange -T "$folder/.$user" "$folder/$user"
  rm -rf "$folder/.$user"
done
# root's own are what the next run asks with; no service reads them
if ! same "$folder" root; then
  echo "$folder"
  if [ "$mode" = make ]; then
    put "$folder" root .new
    for file in $files; do mv "$folder/$file.new" "$folder/$file"; done
  fi
fi
if [ "$mode" = make ]; then
  rm -f "$folder/host.key.next"
  chmod 755 /etc/knowledge-assistant "$folder"
fi

untold() { # UNIT: it runs, and was started and last told before these files were written
  systemctl -q is-active "$1" || return 1
  since=$(systemctl show --timestamp=unix -P ActiveEnterTimestamp "$1")
  for user in $users; do
    if [ "$(stat -c %Y "$folder/$user/ca.crt")" -lt "${since#@}" ]; then continue; fi
    if [ ! "$told/$1" -nt "$folder/$user/ca.crt" ]; then return 0; fi
  done
  return 1
}

for unit in $units; do
  if ! untold "$unit"; then continue; fi
  echo "$unit reloaded"
  [ "$mode" = make ] || continue
  systemctl reload "$unit"
  mkdir -p "$told"
  touch "$told/$unit"
done
