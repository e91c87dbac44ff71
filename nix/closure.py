"""Checks what would be copied to a host: `closure.py GRAPH RECORD NAME=PATH...`.

GRAPH is what Nix writes for exportReferencesGraph: a path, its deriver or an empty line, the number
of its references, and these. RECORD holds the budget and the last accepted size of our own paths, in bytes.
Ends with 1 and all faults when something is there that does not belong there, or when it has grown.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

GROWTH = 1.05
COMPILERS = re.compile(r"(cc1|cc1plus|collect2|gcc|g\+\+|clang|ld|rustc|x86_64-.*-gcc)(-[0-9.]+)?")
# No build may leave in its result where it was made.
FOREIGN = re.compile(rb"/build/source|/tmp/nix-build-|/home/[a-z]+/\.cache/nix")


def closure(graph: Path) -> list[Path]:
    """The paths of the closure."""
    lines = iter(graph.read_text(encoding="utf-8").splitlines())
    paths = []
    for path in lines:
        next(lines)
        for _ in range(int(next(lines))):
            next(lines)
        paths.append(Path(path))
    return sorted(paths)


def files(path: Path) -> Iterator[Path]:
    """All files below a path, without following links."""
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in names)


def size(path: Path) -> int:
    """Bytes of all files."""
    return sum(file.lstat().st_size for file in files(path))


def faults_in(path: Path) -> Iterator[str]:
    """What should not be delivered."""
    for file in files(path):
        if file.is_symlink():
            continue
        if file.suffix == ".whl":
            yield f"{file} is a wheel"
        if COMPILERS.fullmatch(file.name) and os.access(file, os.X_OK):
            yield f"{file} is a compiler"
        if file.suffix in {".pth", ".pyc", ".py", ".cfg", ""} and FOREIGN.search(file.read_bytes()):
            yield f"{file} names a folder of the machine that built it"


def growth(record: dict[str, int], sizes: dict[str, int], total: int) -> Iterator[str]:
    """What is larger than accepted."""
    for name, bytes_now in sizes.items():
        if bytes_now > record[name] * GROWTH:
            yield (
                f"{name} grew from {record[name] / 1e6:.2f} to {bytes_now / 1e6:.2f} MB, more than 5 %: "
                "leave something out (nix/left-out.nix), or accept it in nix/closure.json"
            )
    if total > record["budget"]:
        yield f"the closure has {total / 1e6:.0f} MB, the budget is {record['budget'] / 1e6:.0f} MB"


def main(graph: str, record_file: str, *named: str) -> int:
    """Print the sizes and all faults."""
    paths = closure(Path(graph))
    sizes = {path: size(path) for path in paths}
    for path in sorted(paths, key=lambda path: -sizes[path]):
        print(f"{sizes[path] / 1e6:8.2f} MB  {path.name}")  # noqa: T201
    total = sum(sizes.values())
    print(f"{total / 1e6:8.2f} MB in {len(paths)} paths")  # noqa: T201
    ours = {name: sizes[Path(path)] for name, _, path in (pair.partition("=") for pair in named)}
    print(json.dumps(ours))  # noqa: T201
    record = json.loads(Path(record_file).read_text(encoding="utf-8"))
    faults = [fault for path in paths for fault in faults_in(path)]
    faults += growth(record, ours, total)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
