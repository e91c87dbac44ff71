# sh -s -- look|make    What apt would update, or updates, and what waits for a restart of this host then.
# Environment: SOURCES (text of a sources file, or empty), OFFLINE (yes: go on when no source can be reached).
# Prints lines "package NAME VERSION", "restart REASON" and "offline".
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
mode=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

set -- -o Dpkg::Use-Pty=0 -o APT::Keep-Downloaded-Packages=false -o DPkg::Lock::Timeout=120 \
  -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
if [ -n "$SOURCES" ]; then
  chmod 755 "$work"
  printf '%s\n' "$SOURCES" > "$work/ours.sources"
  set -- "$@" -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work"
fi

# apt calls it a success when a source could not be reached
if [ "$mode" = look ] && ! apt-get "$@" -qq -o APT::Update::Error-Mode=any update > "$work/log" 2>&1; then
  if [ "$OFFLINE" != yes ]; then
    grep -m 1 '^E: ' "$work/log" >&2 || tail -n 1 "$work/log" >&2
    exit 1
  fi
  echo offline
fi

apt-get "$@" --simulate --with-new-pkgs upgrade > "$work/plan"
sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)\{0,1\}(\([^ ]*\) .*/package \1 \3/p' "$work/plan" | tee "$work/packages"
if [ "$mode" = make ] && [ -s "$work/packages" ]; then
  apt-get "$@" --yes --with-new-pkgs upgrade > "$work/log" 2>&1 || {
    tail -n 40 "$work/log" >&2
    exit 1
  }
fi

if [ -e /run/reboot-required ]; then echo "restart an update asks for it"; fi
# a program or library that was replaced under a process
old=$(grep -hoE ' /usr/[^ ]+ \(deleted\)$' /proc/[0-9]*/maps 2> /dev/null | sort -u | head -n 1 || :)
if [ -n "$old" ]; then echo "restart a process still uses the old${old% (deleted)}"; fi
