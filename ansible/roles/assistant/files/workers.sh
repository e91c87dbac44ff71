# sh -s -- make|look COUNT: so many workers run, now and after a boot. Prints what was, or would be, changed.
set -eu
mode=$1 count=$2
units() { systemctl list-units --all --plain --no-legend "assistant-worker@*.service" | cut -d ' ' -f 1; }
for number in $(seq "$count"); do
  unit=assistant-worker@$number.service
  if systemctl -q is-enabled "$unit" 2> /dev/null && systemctl -q is-active "$unit"; then continue; fi
  echo "$unit started"
  [ "$mode" = look ] || systemctl -q enable --now "$unit"
done
for unit in $(units); do
  number=${unit#*@}
  if [ "${number%.service}" -le "$count" ]; then continue; fi
  if ! systemctl -q is-enabled "$unit" 2> /dev/null && ! systemctl -q is-active "$unit"; then continue; fi
  echo "$unit stopped"
  [ "$mode" = look ] || systemctl -q disable --now "$unit"
done
