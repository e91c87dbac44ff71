"""GRUB for BIOS and UEFI, written into the disk's file: no loop device, no running system.

BIOS: what grub-bios-setup does for a disk with a BIOS boot partition (grub-2.12, util/setup.c): boot.img
into the first sector with the place of core.img in it, core.img into the partition, its first sector with the
place of the rest. UEFI: Debian's signed shim and GRUB under the removable path, since no machine has entries
for it yet.
"""

import os
import shutil
import struct
import subprocess
from pathlib import Path

from packer.bake import disk
from packer.bake.errors import ImageError
from packer.bake.run import Progress, program

MODULES = [
    "biosdisk",
    "part_gpt",
    "ext2",
    "search",
    "search_label",
    "configfile",
    "normal",
    "linux",
    "serial",
    "terminal",
]
FIND = f"search.fs_label {disk.LABEL} root\nset prefix=($root)/boot/grub\n"
KERNEL = "console=tty0 console=ttyS0,115200 earlyprintk=ttyS0,115200 consoleblank=0 rw"
# The first menu. A new kernel makes Debian's own (update-grub) take its place, on a machine where that can
# look at real devices; here it would find those of the machine that builds.
MENU = f"""serial --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=0
menuentry "Debian" {{
  search --no-floppy --label {disk.LABEL} --set=root
  linux /vmlinuz root=LABEL={disk.LABEL} {KERNEL}
  initrd /initrd.img
}}
"""
# Without a line for the root in fstab, nothing would make it writable after update-grub's "ro".
SETTINGS = 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX rw"\n'

BOOT_CORE_AT = 0x5C  # in boot.img, 8 bytes: sector of core.img
BOOT_DRIVE_CHECK = 0x66  # in boot.img: a jump, to be two nops for a hard disk
PARTITION_TABLE = 0x1B8  # from here on the first sector belongs to the partition table
BLOCKLIST = 512 - 12  # in core.img's first sector: start (8 bytes), length, segment


def prepare(root: Path) -> bytes:
    """Put menu, settings and modules into the root folder; returns core.img for BIOS."""
    grub = root / "boot/grub"
    (grub / "i386-pc").mkdir(parents=True)
    for module in sorted((root / "usr/lib/grub/i386-pc").iterdir()):
        if module.suffix in (".mod", ".lst"):
            shutil.copy2(module, grub / "i386-pc" / module.name)
    (grub / "grub.cfg").write_text(MENU)
    (root / "etc/default/grub.d").mkdir(exist_ok=True)
    (root / "etc/default/grub.d/50-image.cfg").write_text(SETTINGS)
    early, core = root / "boot/early.cfg", root / "boot/core.img"
    early.write_text(FIND)
    command = [
        "chroot",
        str(root),
        "grub-mkimage",
        "-O",
        "i386-pc",
        "-p",
        "/boot/grub",
        "-c",
        "/boot/early.cfg",
    ]
    ended = subprocess.run(
        [*command, "-o", "/boot/core.img", *MODULES], capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise ImageError(f"GRUB for BIOS could not be made: {ended.stderr.strip()}")
    data = core.read_bytes()
    early.unlink()
    core.unlink()
    return data


def bios(image: Path, root: Path, core: bytes) -> None:
    """Write boot.img and core.img into the disk."""
    if len(core) > disk.ESP_AT - disk.BIOS_AT:
        raise ImageError(f"GRUB's core ({len(core)} bytes) is larger than the BIOS boot partition.")
    first = disk.BIOS_AT // disk.SECTOR
    boot = bytearray((root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:PARTITION_TABLE])
    struct.pack_into("<Q", boot, BOOT_CORE_AT, first)
    boot[BOOT_DRIVE_CHECK : BOOT_DRIVE_CHECK + 2] = b"\x90\x90"
    patched = bytearray(core)
    struct.pack_into("<Q", patched, BLOCKLIST, first + 1)
    disk.write_at(image, disk.BIOS_AT, bytes(patched))
    disk.write_at(image, 0, bytes(boot))


def efi(image: Path, root: Path, work: Path, epoch: int, progress: Progress) -> None:
    """Make the EFI partition and write it into the disk."""
    esp = work / "esp"
    esp.unlink(missing_ok=True)
    with esp.open("wb") as file:
        file.truncate(disk.ROOT_AT - disk.ESP_AT)
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1", "TZ": "UTC"}
    progress.call([program("mkfs.vfat"), "-F", "32", "-n", "KA-ESP", "-i", "6b610001", str(esp)], env=env)
    found = work / "grub.cfg"
    found.write_text(FIND + "configfile $prefix/grub.cfg\n")
    signed, shim = root / "usr/lib/grub/x86_64-efi-signed", root / "usr/lib/shim"
    files = {
        "EFI/BOOT/BOOTX64.EFI": shim / "shimx64.efi.signed",
        "EFI/BOOT/mmx64.efi": shim / "mmx64.efi.signed",
        "EFI/BOOT/grubx64.efi": signed / "grubx64.efi.signed",
        "EFI/debian/grub.cfg": found,  # where Debian's signed GRUB looks
    }
    progress.call(["mmd", "-i", str(esp), "::EFI", "::EFI/BOOT", "::EFI/debian"], env=env)
    for name, source in files.items():
        os.utime(source, (epoch, epoch))
        progress.call(["mcopy", "-m", "-i", str(esp), str(source), f"::{name}"], env=env)
    disk.write_at(image, disk.ESP_AT, esp.read_bytes())
    esp.unlink()
    found.unlink()
