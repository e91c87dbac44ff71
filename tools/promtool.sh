#!/bin/sh
# What tests of alerts run, unpacked into build/promtool: promtool, Prometheus, Alertmanager, blackbox exporter. They are
# Debian 13's, like the fleet's own, from where this machine gets its packages; what cannot be had is left out, and the
# tests that need it are skipped. Nothing is installed, since that would start servers on this machine.
set -eu
cd "$(dirname "$0")/.."
folder=$PWD/build/promtool
[ ! -e "$folder/share/prometheus/alertmanager/default.tmpl" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"

apt() { # COMMAND...: with lists of our own
  (cd "$work" && apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$work/sources.list" \
    -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" "$@") > /dev/null 2>&1
}

get() {
  # these words are apt's
  # shellcheck disable=SC2016
  where=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' \
    | awk '$1 == "Debian" && $2 == "Debian" {print $3; exit}')
  [ -n "$where" ] || return 1
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $where trixie main" > "$work/sources.list"
  apt update && apt download promtool prometheus prometheus-alertmanager prometheus-blackbox-exporter
}

if command -v apt-get > /dev/null; then
  echo "Fetching Prometheus and its companions for the tests of the alerts"
  if get; then
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
    mkdir -p "$folder"
    for name in promtool prometheus amtool prometheus-alertmanager prometheus-blackbox-exporter; do
      install -m 755 "$work/root/usr/bin/$name" "$folder/$name"
    done
    # last, since that says that all is there
    mkdir -p "$folder/share/prometheus"
    rm -rf "$folder/share/prometheus/alertmanager"
    mkdir "$work/templates"
    cp "$work"/root/usr/share/prometheus/alertmanager/*.tmpl "$work/templates"
    mv "$work/templates" "$folder/share/prometheus/alertmanager"
    exit
  fi
fi
echo "No Prometheus here: tests of the alerts will be skipped (they need Debian 13's packages)."
