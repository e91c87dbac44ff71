# Put CERTIFICATE and AUTHORITY beside the host's key, and a copy for each user whose service reads files.
# sh -s -- make|look USER...
# Prints each file that was, or would be, changed.
set -eu
umask 077
mode=$1
shift
folder=/etc/knowledge-assistant/tls
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
printf '%s\n' "$CERTIFICATE" | sed '/^$/d' > "$new/host.crt"
printf '%s\n' "$AUTHORITY" | sed '/^$/d' > "$new/ca.crt"
cp "$folder/host.key" "$new/host.key"

put() { # FOLDER FILE OWNER MODE
  if cmp -s "$new/$2" "$1/$2" && [ "$(stat -c '%U %a' "$1/$2")" = "$3 $4" ]; then return; fi
  echo "$1/$2"
  [ "$mode" = make ] || return 0
  install -o "$3" -g "$(id -gn "$3")" -m "$4" "$new/$2" "$1/$2.new"
  mv "$1/$2.new" "$1/$2"
}

for user in root "$@"; do
  place=$folder
  if [ "$user" != root ]; then place=$folder/$user; fi
  if [ "$mode" = make ]; then
    mkdir -p "$place"
    chown "$user:$(id -gn "$user")" "$place"
  fi
  put "$place" host.key "$user" 600
  put "$place" host.crt "$user" 644
  put "$place" ca.crt "$user" 644
done
if [ "$mode" = make ]; then chmod 755 /etc/knowledge-assistant "$folder"; fi
