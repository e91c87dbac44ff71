# sh -s -- make|look PORT FOLDER: Prometheus takes in what was written to FOLDER after it last did so, whoever
# wrote it. Prints what was, or would be, done.
set -eu
taken=$(curl -sSf --max-time 5 "http://127.0.0.1:$2/metrics" \
  | awk '$1 == "prometheus_config_last_reload_success_timestamp_seconds" {printf "%.3f", $2}')
if [ -n "$(find "$3" -type f -newermt "@$taken")" ]; then
  echo prometheus.service reloaded
  [ "$1" = look ] || systemctl reload prometheus.service
fi
