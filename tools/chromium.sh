#!/bin/sh
# Install Debian's Chromium for the browser tests if it is missing and we may; without it they are skipped.
command -v chromium >/dev/null && exit
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing chromium for the browser tests"
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium \
    >/dev/null && exit
fi
echo "No chromium here: the browser tests will be skipped (Debian: sudo apt install chromium)."
