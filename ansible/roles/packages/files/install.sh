# Install, update, trim, disable: one remote step. sh -s -- apply|simulate PACKAGE...
# Environment: UNITS_OFF, http_proxy (or empty), and texts of sources files, or empty: SOURCES in place of the host's,
# MORE beside them.
# Prints a line "CHANGED what" for each thing that was, or would be, changed.
set -eu
mode=$1
shift
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
[ -n "${http_proxy:-}" ] || unset http_proxy
work=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
finish() {
  rm -rf "$work"
  if [ "$mode" = apply ]; then rm -f "$policy"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

packages=$*
set -- -o Dpkg::Use-Pty=0 -o APT::Keep-Downloaded-Packages=false -o DPkg::Lock::Timeout=120 \
  -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io
if [ -n "$SOURCES$MORE" ]; then
  chmod 755 "$work"
  if [ -n "$SOURCES" ]; then
    printf '%s\n' "$SOURCES" > "$work/bake.sources"
    set -- "$@" -o Dir::Etc::SourceList=/dev/null
  else
    cp -r /etc/apt/sources.list.d/. "$work"
  fi
  [ -z "$MORE" ] || printf '%s\n' "$MORE" > "$work/more.sources"
  set -- "$@" -o "Dir::Etc::SourceParts=$work"
fi

apt-get -qq "$@" update || {
  echo "The package lists cannot be read: network, proxy or packages_sources. Nothing was installed." >&2
  exit 1
}

# Everything that Debian starts or restarts while it installs stays down.
quietly() {
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  "$@" > "$work/log" 2>&1 || {
    tail -n 40 "$work/log" >&2
    exit 1
  }
}

# shellcheck disable=SC2086 # a list of names
apt-get "$@" --simulate --no-install-recommends dist-upgrade $packages > "$work/simulated"
sed -n 's/^\(Inst\|Remv\) /CHANGED &/p' "$work/simulated" | tee "$work/plan"
if [ "$mode" = apply ] && [ -s "$work/plan" ]; then
  systemd-sysusers /etc/sysusers.d/knowledge-assistant.conf
  # shellcheck disable=SC2086
  quietly apt-get "$@" --yes --no-install-recommends dist-upgrade $packages
fi

# What the base disk had before dpkg was told to leave it out; licences stay.
unwanted() {
  find /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian \
    -type f ! -name copyright ! -path /usr/share/locale/locale.alias 2> /dev/null
}
unwanted > "$work/unwanted" || :
if [ -s "$work/unwanted" ]; then
  echo "CHANGED $(wc -l < "$work/unwanted") files of documentation removed"
  [ "$mode" = simulate ] || xargs -r -d '\n' rm -f < "$work/unwanted"
fi

for unit in $UNITS_OFF; do
  case $(systemctl is-enabled "$unit" 2> /dev/null || :) in
    enabled)
      echo "CHANGED $unit disabled"
      [ "$mode" = simulate ] || systemctl --quiet disable --now "$unit"
      ;;
  esac
done
