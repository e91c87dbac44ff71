# sh -s -- look|make UNIT PORT PATH...: the service takes in what was written to files or folders after it last did
# so, whoever wrote it. It tells the moment among its figures, as Prometheus and its companions do. Prints what was,
# or would be, done.
set -eu
mode=$1 unit=$2 port=$3
shift 3
taken=$(curl -sSf --max-time 5 "http://127.0.0.1:$port/metrics" \
  | awk '$1 ~ /_config_last_reload_success_timestamp_seconds$/ {printf "%.3f", $2}')
if [ -n "$(find "$@" -type f -newermt "@$taken")" ]; then
  echo "$unit reloaded"
  [ "$mode" = look ] || systemctl reload "$unit"
fi
