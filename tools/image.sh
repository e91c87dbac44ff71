#!/bin/sh
# Bake the machine image, or look at one: tools/image.sh [build|check|compare|updates] ...; --help tells more.
# Installs from Debian what it needs; makes the release first when none is given (--stand-in: see tools/release.sh).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

verb=build stand_in='' release=''
case ${1:-} in
  build | check | compare | updates) verb=$1; shift ;;
  -h | --help) verb=--help; shift ;;
esac
for argument; do
  shift
  case $argument in
    --stand-in) stand_in=--stand-in ;;
    -h | --help) set -- "$@" "$argument"; release=given ;;
    --release | --release=*) release=given; set -- "$@" "$argument" ;;
    *) set -- "$@" "$argument" ;;
  esac
done

needed() {
  for pair in packer:packer qemu-system-x86_64:qemu-system-x86 systemd-nspawn:systemd-container \
    mmdebstrap:mmdebstrap mcopy:mtools mkfs.vfat:dosfstools sfdisk:fdisk mke2fs:e2fsprogs ssh-keygen:openssh-client \
    ip:iproute2 zstd:zstd; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" > /dev/null || echo "${pair#*:}"
  done
}
if [ "$verb" = build ] && [ "$(id -u)" = 0 ]; then
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
  if [ -z "$release" ]; then tools/release.sh ${stand_in:+"$stand_in"} build/release; fi
  tools/ops.sh build/ops
  set -- --ansible-playbook "$root/build/ops/bin/ansible-playbook" "$@"
fi
exec python3 -m packer.bake "$verb" "$@"
