# sh -s -- make|look    SETTINGS: lines "NAME = VALUE". Prints what was, or would be, changed.
# In a container some belong to the machine around it and cannot be set; those are printed as refused.
set -eu
printf '%s\n' "$SETTINGS" | sed -n 's/^\([a-z].*\) = /\1 /p' | while read -r name value; do
  file=/proc/sys/$(echo "$name" | tr . /)
  [ "$(tr -s '\t' ' ' < "$file" 2> /dev/null || :)" != "$value" ] || continue
  if systemd-detect-virt --quiet --container && ! [ -w "$file" ]; then
    echo "refused by the machine around this container: $name"
    continue
  fi
  echo "$name"
  if [ "$1" = make ]; then echo "$value" > "$file"; fi
done
