"""The layout of the disk, and reading files from its root without mounting it.

GPT with the types of the Discoverable Partitions Specification: 1 BIOS boot, 2 EFI system, 3 root (x86-64).
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packer.bake.errors import ImageError
from packer.bake.run import Progress, output, program

MIB = 1 << 20
SECTOR = 512
SIZE = 4 * 1024 * MIB
BIOS_AT, ESP_AT, ROOT_AT = 1 * MIB, 2 * MIB, 66 * MIB
ROOT_SIZE = SIZE - ROOT_AT - 1 * MIB  # the second partition table stands at the end
LABEL = "ka-root"
# Fixed, so that two disks made alike are alike; nothing looks for them: GRUB and the kernel go by the label.
DISK_ID = "6b612d69-6d61-4765-8000-000000000001"
ROOT_ID = "6b612d69-6d61-4765-8000-000000000002"
HASH_SEED = "6b612d69-6d61-4765-8000-000000000003"

TABLE = f"""label: gpt
label-id: {DISK_ID}
start={BIOS_AT // SECTOR}, size={(ESP_AT - BIOS_AT) // SECTOR}, \
type=21686148-6449-6E6F-744E-656564454649, uuid=6B612D69-6D61-4765-8000-000000000011, name=bios
start={ESP_AT // SECTOR}, size={(ROOT_AT - ESP_AT) // SECTOR}, \
type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=6B612D69-6D61-4765-8000-000000000012, name=esp
start={ROOT_AT // SECTOR}, size={ROOT_SIZE // SECTOR}, \
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=6B612D69-6D61-4765-8000-000000000013, name=root-x86-64
"""


@dataclass(frozen=True)
class Use:
    """Bytes: of the root's files and structures, and of the image file on this disk."""

    root: int
    file: int


def create(disk: Path, root: Path, epoch: int, progress: Progress) -> None:
    """Make the disk with its partition table and a root filesystem that holds the files of the folder."""
    disk.unlink(missing_ok=True)
    with disk.open("wb") as file:
        file.truncate(SIZE)
    ended = subprocess.run(
        [program("sfdisk"), "-q", str(disk)], input=TABLE, text=True, capture_output=True, check=False
    )
    if ended.returncode != 0:
        raise ImageError(f"The partition table could not be written: {ended.stderr.strip()}")
    # Features that GRUB does not read are left out.
    command = [program("mke2fs"), "-q", "-t", "ext4", "-L", LABEL, "-U", ROOT_ID, "-m", "1"]
    command += ["-O", "^metadata_csum_seed,^orphan_file", "-E", f"offset={ROOT_AT},hash_seed={HASH_SEED}"]
    progress.call(
        [*command, "-d", str(root), str(disk), f"{ROOT_SIZE // 1024}k"],
        env={**os.environ, "E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch)},
    )


def write_at(disk: Path, offset: int, data: bytes) -> None:
    """Put bytes at a place on the disk."""
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def usage(disk: Path) -> Use:
    """What is used, by the filesystem's own count of free blocks."""
    text = output([program("dumpe2fs"), "-h", _root(disk)])
    numbers = {
        name: int(value)
        for name, value in re.findall(r"^(Block count|Free blocks|Block size): +(\d+)$", text, re.MULTILINE)
    }
    used = (numbers["Block count"] - numbers["Free blocks"]) * numbers["Block size"]
    return Use(root=used, file=disk.stat().st_blocks * 512)


def _root(disk: Path) -> str:
    return f"{disk}?offset={ROOT_AT}"


def _debugfs(disk: Path, request: str) -> tuple[str, str]:
    ended = subprocess.run(
        [program("debugfs"), "-R", request, _root(disk)],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    said = "\n".join(ended.stderr.decode().splitlines()[1:])  # the first line names the version
    return ended.stdout.decode(errors="surrogateescape"), said


def read(disk: Path, path: str) -> str | None:
    """A file's text; None when it is not there."""
    text, said = _debugfs(disk, f'cat "{path}"')
    return None if said else text


def names(disk: Path, folder: str) -> list[str]:
    """What a folder holds; nothing when it is not there."""
    text, _ = _debugfs(disk, f'ls -p "{folder}"')
    rows = [row.split("/") for row in text.splitlines() if row.startswith("/")]
    return sorted(row[5] for row in rows if len(row) > 5 and row[5] not in (".", ".."))


def link(disk: Path, path: str) -> str | None:
    """Where a symbolic link points; None when it is none."""
    text, _ = _debugfs(disk, f'stat "{path}"')
    if "Type: symlink" not in text:
        return None
    found = re.search(r'Fast link dest: "(.*)"', text)
    return found[1] if found else read(disk, path)  # a longer one stands in a block, as a file's text does
