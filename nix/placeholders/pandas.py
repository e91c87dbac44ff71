"""Stands for pandas, which is left out: gradio only asks whether a value is one of its tables, and none is.

Whatever else is asked of it ends with an ImportError, so a component that really needs pandas says so.
"""

from typing import Any, NoReturn


class DataFrame:
    """No value is one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        _missing("DataFrame")


class Series:
    """No value is one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        _missing("Series")


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    _missing(name)


def _missing(name: str) -> NoReturn:
    raise ImportError(
        f"pandas.{name} was asked for, but pandas is left out of this closure (nix/left-out.nix)"
    )
