#!/bin/sh
# promtool from Debian's package, unpacked into build/promtool unless it is installed; without it the rules' own tests
# are skipped. The package is not installed, since that would start a Prometheus on this machine.
set -eu
cd "$(dirname "$0")/.."
folder=$PWD/build/promtool
if command -v promtool > /dev/null || [ -x "$folder/promtool" ]; then exit; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
get() { (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download prometheus) > /dev/null 2>&1; }
if command -v apt-get > /dev/null; then
  echo "Fetching promtool for the tests of the alerts"
  if get || { [ "$(id -u)" = 0 ] && apt-get -qq update > /dev/null && get; }; then
    mkdir -p "$folder"
    dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -xO ./usr/bin/promtool > "$work/promtool"
    install -m 755 "$work/promtool" "$folder/promtool"
    exit
  fi
fi
echo "No promtool here: the tests of the alerts will be skipped (Debian: it is in the package prometheus)."
