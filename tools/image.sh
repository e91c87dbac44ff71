#!/bin/sh
# Bake the machine image, or look at one: tools/image.sh [build|check|compare|updates] ...; --help tells more.
# Installs from Debian what it needs; makes the release first when none is given (--stand-in: see tools/release.sh).
set -eu
cd "$(dirname "$0")/.."
bake() { PYTHONDONTWRITEBYTECODE=1 exec python3 -m packer.bake "$@"; }

case ${1:-} in
  -h | --help) bake --help ;;
  check | compare | updates) bake "$@" ;;
  build) shift ;;
esac

stand_in='' release=''
for argument; do
  shift
  case $argument in
    -h | --help)
      bake build --help
      ;;
    --stand-in)
      stand_in=--stand-in
      continue
      ;;
    --release | --release=*) release=given ;;
  esac
  set -- "$@" "$argument"
done
[ "$(id -u)" = 0 ] || bake build "$@" # which says what is missing

needed() {
  for pair in packer:packer qemu-system-x86_64:qemu-system-x86 systemd-nspawn:systemd-container \
    mmdebstrap:mmdebstrap mcopy:mtools mkfs.vfat:dosfstools sfdisk:fdisk mke2fs:e2fsprogs ssh-keygen:openssh-client \
    ip:iproute2 zstd:zstd python3:python3-venv; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" > /dev/null || echo "${pair#*:}"
  done
}
missing=$(needed | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "Installing $missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 # a list of names
  { apt-get -qq update && apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } \
    > /dev/null || {
    echo "These are missing and could not be installed: $missing" >&2
    exit 1
  }
fi
[ -n "$release" ] || tools/release.sh ${stand_in:+"$stand_in"} build/release
tools/ops.sh .venv-ops
bake build --ansible-playbook "$PWD/.venv-ops/bin/ansible-playbook" "$@"
