#!/bin/sh
# Runs one host until it is switched off. A reboot inside (nspawn says so by 133) starts it again.
# Usage: runner.sh LOG MACHINE_PROCS RUNNER_PROCS... -- COMMAND...
# Standard input carries the lab's lock: it is let go once a kill of the host's cgroup reaches this process.
set -eu
log=$1 machine=$2
shift 2
while [ "$1" != -- ]; do
  echo $$ > "$1"
  shift
done
shift
exec < /dev/null >> "$log" 2>&1
while :; do
  code=0
  # shellcheck disable=SC2016 # expanded by the inner shell
  sh -c 'echo $$ > "$0"; exec "$@"' "$machine" "$@" || code=$?
  [ "$code" = 133 ] || exit "$code"
done
