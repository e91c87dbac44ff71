# sh -s -- stop FOLDER: Patroni and its PostgreSQL end.
# sh -s -- swap|aside FOLDER: what is in 17 goes aside; swap: what is in 17.restoring takes its place. Prints where the
# old one is.
set -eu
mode=$1 folder=$2
control() { runuser -u postgres -- /usr/lib/postgresql/17/bin/pg_ctl -D "$folder/17" "$@" > /dev/null 2>&1; }
if [ "$mode" = stop ]; then
  systemctl stop patroni.service
  # it lives on when Patroni was killed
  control -m fast -w -t 60 stop || :
  if control status; then
    echo "PostgreSQL does not end: see journalctl -u patroni, then run this again." >&2
    exit 1
  fi
  exit 0
fi
if [ "$mode" = swap ] && [ ! -f "$folder/17.restoring/PG_VERSION" ]; then
  echo "$folder/17.restoring is not there: run this again." >&2
  exit 1
fi
if [ -e "$folder/17" ]; then
  old=$folder/17.before-$(date -u +%Y%m%dT%H%M%SZ)
  mv "$folder/17" "$old"
  echo "$old"
fi
if [ "$mode" = swap ]; then mv "$folder/17.restoring" "$folder/17"; fi
sync -f "$folder"
