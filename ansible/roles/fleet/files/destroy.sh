# What makes this host a member of the fleet goes, with all its data; what the image brought stays.
# sh -s -- look|make FLEET DEVICE LABEL MOUNT UNIT...      (units may be patterns)
# Prints what was, or would be, lost. A disk with another label, or a host of another fleet, is left alone.
set -eu
mode=$1 fleet=$2 device=$3 label=$4 place=$5
shift 5
own=/etc/knowledge-assistant

if [ -f $own/host.json ] && ! grep -qF "\"fleet\": \"$fleet\"" $own/host.json; then
  echo "This host belongs to another fleet than $fleet (see $own/host.json): take it out of the inventory." >&2
  exit 1
fi
found=
if [ -n "$device" ] && [ -b "$(readlink -f "$device")" ]; then
  found=$(blkid -p -s LABEL -o value "$device" || :)
  if [ -n "$(wipefs --noheadings "$device")" ] && [ "$found" != "$label" ]; then
    echo "$device is called ${found:-nothing}, not $label: it is not this host's. Correct disks_data_device." >&2
    exit 1
  fi
fi

known() { systemctl "$@" --plain --no-legend | cut -d ' ' -f 1 | grep -v '@\.' || :; }
units=
for unit in $({ known list-units --all "$@"; known list-unit-files --state=enabled "$@"; } | sort -u); do
  if ! systemctl -q is-enabled "$unit" 2> /dev/null && ! systemctl -q is-active "$unit"; then continue; fi
  echo "$unit stopped and disabled"
  units="$units $unit"
done
# all at once: one that is stopped alone may be started meanwhile by its timer
if [ "$mode" = make ] && [ -n "$units" ]; then
  # shellcheck disable=SC2086 # names of units have no blanks
  systemctl -q disable --now $units
fi

if [ -n "$found" ]; then
  echo "$device ($label) wiped"
  if [ "$mode" = make ]; then
    unit=$(systemd-escape --path --suffix=mount "$place")
    systemctl -q disable --now "$unit" 2> /dev/null || :
    if mountpoint -q "$place"; then umount "$place"; fi
    rm -f "/etc/systemd/system/$unit"
    # all of it where the disk can forget; the beginning in any case, so that it counts as blank
    blkdiscard --force "$device" 2> /dev/null || :
    wipefs --quiet --all "$device"
    dd if=/dev/zero of="$device" bs=1M count=16 conv=fsync status=none
  fi
fi

for path in $own/tls $own/host.json $own/config.toml $own/database.url /etc/credstore.encrypted/ka.* \
  /var/lib/knowledge-assistant /etc/patroni/config.yml /etc/default/etcd /etc/haproxy/haproxy.cfg; do
  [ -e "$path" ] || continue
  echo "$path removed"
  [ "$mode" = look ] || rm -rf "$path"
done
[ "$mode" = look ] || systemctl daemon-reload
