"""Checks what would be copied to a host: `closure.py GRAPH RECORD NAME=PATH...`.

GRAPH is what Nix writes for exportReferencesGraph: a path, its deriver or an empty line, the number
of its references, and these. RECORD holds sizes in bytes: `accepted`, of the named paths when somebody last
looked, `base`, of Python and the libraries below them, and `budget`, for all together.
Ends with 1 and all faults when something is there that does not belong there, or when it has grown.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

GROWTH = 1.05
MIB = 1 << 20
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


def growth(accepted: dict[str, int], base: int, budget: int, sizes: dict[str, int]) -> Iterator[str]:
    """What is larger than accepted. The base counts as recorded: another nixpkgs has another one."""
    before, now = sum(accepted.values()), sum(sizes.values())
    if now > before * GROWTH:
        grown = ", ".join(f"{name} by {(sizes[name] - accepted[name]) / MIB:.1f}" for name in sizes)
        yield (
            f"the closure's own paths grew from {before / MIB:.1f} to {now / MIB:.1f} MiB, more than 5 % "
            f"({grown}): leave something out (nix/left-out.nix), or accept it in nix/closure.json"
        )
    if now + base > budget:
        yield f"the closure has {(now + base) / MIB:.0f} MiB, the budget is {budget / MIB:.0f} MiB"


def main(graph: str, record_file: str, *named: str) -> int:
    """Print the sizes and all faults."""
    paths = closure(Path(graph))
    sizes = {path: size(path) for path in paths}
    for path in sorted(paths, key=lambda path: -sizes[path]):
        print(f"{sizes[path] / MIB:8.2f} MiB  {path.name}")  # noqa: T201
    total = sum(sizes.values())
    print(f"{total / MIB:8.2f} MiB in {len(paths)} paths")  # noqa: T201
    ours = {name: sizes[Path(path)] for name, _, path in (pair.partition("=") for pair in named)}
    print(json.dumps({"accepted": ours, "base": total - sum(ours.values())}))  # noqa: T201
    record = json.loads(Path(record_file).read_text(encoding="utf-8"))
    faults = [fault for path in paths for fault in faults_in(path)]
    faults += growth(record["accepted"], record["base"], record["budget"], ours)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
