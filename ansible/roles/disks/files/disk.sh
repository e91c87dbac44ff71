# sh -s -- make|look DEVICE LABEL MOUNT FOLDER...
# Prints what was, or would be, changed; ends with a sentence when the disk is not ours.
set -eu
mode=$1 device=$2 label=$3 place=$4
shift 4
fail() { echo "$*" >&2; exit 1; }

[ -b "$(readlink -f "$device")" ] || fail "$device is not there: attach the data disk, or correct disks_data_device."

blank() {
  [ -z "$(wipefs --noheadings "$device")" ] && head -c 4194304 "$device" | cmp -s -n 4194304 - /dev/zero
}

type=$(blkid -p -s TYPE -o value "$device" || :)
found=$(blkid -p -s LABEL -o value "$device" || :)
if [ "$type" = ext4 ] && [ "$found" = "$label" ]; then
  :
elif blank; then
  echo "$device formatted as $label"
  [ "$mode" = make ] || exit 0
  mkfs.ext4 -q -L "$label" -m 1 "$device"
else
  fail "$device holds ${type:-something}${found:+ called $found}, not the data of this host ($label). It was not" \
    "touched. Attach the right disk; or, if it may be lost, wipe it yourself: wipefs --all $device"
fi

# systemd alone: in a container it leaves fstab's devices out
unit=$(systemd-escape --path --suffix=mount "$place")
file=/etc/systemd/system/$unit
text="[Unit]
Description=Data disk $label
[Mount]
What=$device
Where=$place
Type=ext4
Options=noatime,nodev,nosuid,noexec
[Install]
WantedBy=multi-user.target"
if [ "$(cat "$file" 2> /dev/null || :)" != "$text" ]; then
  echo "$file"
  if [ "$mode" = make ]; then
    printf '%s\n' "$text" > "$file"
    systemctl daemon-reload
    systemctl --quiet enable "$unit"
  fi
fi
if ! mountpoint -q "$place"; then
  echo "$place mounted"
  [ "$mode" = make ] || exit 0
  mkdir -p "$place"
  systemctl start "$unit"
fi
for user in "$@"; do
  folder=$place/$user
  if [ "$(stat -c '%U %a' "$folder" 2> /dev/null || :)" != "$user 700" ]; then
    echo "$folder"
    [ "$mode" = look ] || install -d -o "$user" -g "$(id -gn "$user")" -m 700 "$folder"
  fi
done
