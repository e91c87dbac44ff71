#!/bin/sh
# What `make nix-test` needs: Nix, the stand-in for nixpkgs, and the root of a bare Debian 13 host, in folder $1.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$1
if [ "$(id -u)" != 0 ]; then
  echo "make nix-test needs root: it makes a Debian 13 root, and namespaces in it." >&2
  exit 1
fi
if ! { command -v nix && command -v mmdebstrap && command -v ssh && command -v git; } > /dev/null; then
  echo "Installing nix-bin, mmdebstrap, openssh-client and git"
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    nix-bin mmdebstrap openssh-client git > /dev/null
fi

# private stores: no daemon, nothing of this machine's own Nix
mkdir -p "$work/conf" "$work/home"
cat > "$work/conf/nix.conf" <<CONF
experimental-features = nix-command flakes
build-users-group =
substituters =
sandbox = true
sandbox-fallback = false
flake-registry = $work/conf/registry.json
CONF
echo '{"flakes":[],"version":2}' > "$work/conf/registry.json"

[ -e "$work/seed/flake.nix" ] || {
  echo "Making the stand-in for nixpkgs"
  rm -rf "$work/seed"
  sh "$here/../nix-standin/prepare.sh" "$work/seed.new"
  mv "$work/seed.new" "$work/seed"
}
cp "$here"/../nix-standin/*.nix "$here"/../nix-standin/*.sh "$work/seed/"
rm -f "$work/seed/prepare.sh"

[ -e "$work/host.tar" ] || {
  echo "Making the root of a bare Debian 13 host: nix-bin and an SSH server"
  mmdebstrap --quiet --variant=minbase --include=nix-bin,openssh-server trixie "$work/host.new.tar"
  mv "$work/host.new.tar" "$work/host.tar"
}
