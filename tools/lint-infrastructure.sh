#!/bin/sh
# The layout of Packer's and Nix's files. A program that is not here is named and left out.
set -eu
cd "$(dirname "$0")/.."
if command -v packer > /dev/null; then
  for folder in packer packer/plugins packer/targets; do packer fmt -check -diff "$folder"; done
else
  echo "packer is not installed: its files were not looked at (Debian: apt install packer)"
fi
if command -v nixfmt > /dev/null; then
  find flake.nix nix tests/nix-standin -name '*.nix' -exec nixfmt --check {} +
else
  echo "nixfmt is not installed: the layout of .nix files was not looked at (nix fmt does)"
fi
