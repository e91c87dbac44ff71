"""Which of the fast instructions this machine has."""

from __future__ import annotations

from pathlib import Path

# Either gives u8 x s8 products summed in 32 bits. Without them onnxruntime's kernels add pairs in 16 bits,
# which can overflow, so int8 would be slower and less exact.
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the flags that every processor of this machine has; nothing where Linux does not tell."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = [frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return frozenset.intersection(*flags) if flags else frozenset()


def has_fast_int8(flags: frozenset[str]) -> bool:
    """Tell whether the int8 variant is fast and exact on a machine with these flags."""
    return bool(flags & INT8_FLAGS)
