"""Figures for node exporter's textfile collector.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Samples = Iterable[tuple[Mapping[str, str], float]]


def text(metrics: Mapping[str, tuple[str, Samples]]) -> str:
    """By name of a metric its help and samples; what ends in _total counts, all else is a gauge."""
    lines = []
    for name, (about, samples) in metrics.items():
        lines += [f"# HELP {name} {_help(about)}"]
        lines += [f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"]
        for labels, value in samples:
            inner = ",".join(f'{label}="{_label(content)}"' for label, content in labels.items())
            lines.append(f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}")
    return "\n".join(lines) + "\n"


def write(folder: str | Path, name: str, metrics: Mapping[str, tuple[str, Samples]]) -> None:
    """Replace backup-NAME.prom in ``folder`` at once; does nothing where that is empty. Raises OSError."""
    if not str(folder):
        return
    handle, new = tempfile.mkstemp(dir=folder, prefix=f".backup-{name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text(metrics))
        Path(new).chmod(0o644)  # the exporter is another user
        Path(new).replace(Path(folder) / f"backup-{name}.prom")
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def _help(about: str) -> str:
    return about.replace("\\", r"\\").replace("\n", r"\n")


def _label(content: str) -> str:
    return content.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
