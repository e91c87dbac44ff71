# sh -s -- start|restart URL CA: the API runs with what is set now; ends when it is ready, so that the next host
# may go. Prints what was changed.
set -eu
ready() { curl -sf -o /dev/null --max-time 5 --cacert "$2" "$1/readyz"; }
case $1 in
  restart)
    echo "assistant-api.service restarted"
    systemctl -q enable assistant-api.service
    systemctl restart assistant-api.service
    systemctl try-restart 'assistant-worker@*.service'
    ;;
  start)
    if ! systemctl -q is-enabled assistant-api.service || ! systemctl -q is-active assistant-api.service; then
      echo "assistant-api.service started"
      systemctl -q enable --now assistant-api.service
    fi
    ;;
esac
until=$(($(date +%s) + 60))
while [ "$(date +%s)" -lt "$until" ]; do
  if ready "$2" "$3"; then exit 0; fi
  sleep 0.5
done
echo "The API is not ready after 60 s; the other hosts were left alone. See: journalctl -u assistant-api." >&2
curl -s --max-time 5 --cacert "$3" "$2/readyz" >&2 || :
exit 1
