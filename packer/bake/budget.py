"""The size budget: used bytes of the root filesystem, recorded in packer/budget.json."""

import json
from pathlib import Path

from packer.bake.errors import ImageError
from packer.bake.run import ROOT

FILE = ROOT / "packer/budget.json"
MEGABYTE = 1_000_000


def check(used: int, file: Path = FILE) -> None:
    """Raises ImageError when the image uses more than the budget, and what it may grow by, allow."""
    budget = json.loads(file.read_text())
    recorded, growth, most = budget["used_megabytes"], budget["growth_percent"], budget["most_megabytes"]
    megabytes = used / MEGABYTE
    if megabytes > recorded * (1 + growth / 100):
        raise ImageError(
            f"The image uses {megabytes:.0f} MB, more than {growth} % over the {recorded} MB recorded in "
            f"{file.name}. tools/image.sh compare shows what grew; record the new size if it is wanted."
        )
    if megabytes > most:
        raise ImageError(
            f"The image uses {megabytes:.0f} MB; the most that is allowed is {most} MB ({file.name})."
        )
