# What could lock us out goes back by itself, unless Ansible comes in again, by a new connection, and confirms it.
# The role's script stands before this one and defines
#   differs    whether what is wanted is not yet there
#   remember   prints a script that brings back what is there now
#   try        puts what is wanted in force
#   keep       makes it last
# sh -s -- look|try|keep NAME SECONDS      Prints CHANGED when something differs.
mode=$1 name=$2 seconds=$3
timer=knowledge-assistant-$name-back
back=/run/knowledge-assistant/$name-back

late() {
  echo "It took longer than $seconds s: what was there before is back. Try again, with more guard_seconds." >&2
  exit 1
}

case $mode in
  look)
    ! differs || echo CHANGED
    ;;
  try)
    differs || exit 0
    echo CHANGED
    mkdir -p "${back%/*}"
    # an earlier try that nobody confirmed goes back first
    if systemctl --quiet is-active "$timer.timer"; then
      systemctl stop "$timer.timer"
      sh "$back"
    fi
    { remember; echo "rm -f $back"; } > "$back"
    systemd-run --quiet --collect --unit="$timer" --on-active="$seconds" --timer-property=AccuracySec=1s sh "$back"
    set +e
    (set -e; try)
    code=$?
    set -e
    if [ "$code" != 0 ]; then
      systemctl stop "$timer.timer"
      sh "$back"
      exit 1
    fi
    ;;
  keep)
    systemctl stop "$timer.timer" 2> /dev/null || late
    keep
    rm -f "$back"
    ;;
esac
