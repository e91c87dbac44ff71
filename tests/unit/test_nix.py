"""The Nix expressions belong to the locks that are here."""

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_the_hash_of_the_wheels_was_renewed_with_the_lock(lock: str) -> None:
    recorded = json.loads((ROOT / "nix" / "hashes.json").read_text(encoding="utf-8"))[lock]["lock"]
    actual = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
    assert recorded == actual, f"{lock} changed: run nix/hashes.sh (part of make lock)"


def test_every_package_that_the_closure_leaves_out_is_in_the_lock() -> None:
    locked = set(
        re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    )
    packages = (ROOT / "nix" / "left-out.nix").read_text(encoding="utf-8").partition("files = {")[0]
    left_out = set(re.findall(r'^ +"([a-z0-9-]+)" =', packages, re.MULTILINE))
    assert left_out
    assert left_out <= locked
