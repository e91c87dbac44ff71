"""What all tests on a fleet share. They are collected only when this folder, or something in it, is named:

`pytest tests/fleet` runs them, `pytest` alone does not.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.ansible.running import removable
from tests.fleet.fleet import Fleet, bring_up, running_fleet
from tests.fleet.releases import Releases, forget
from tests.lab.fixtures import bounded, collect_journals, lab, machine_ready, new_lab, temporary_lab

__all__ = ["bounded", "lab", "machine_ready", "new_lab"]
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def fleet(machine_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A whole fleet on which site.yml was run once, shared by all tests; each leaves it whole.

    ``KA_FLEET=NAME`` takes the lab of that name instead, which is made if it isn't up, and stays.
    """
    with ExitStack() as stack:
        if name := os.environ.get("KA_FLEET"):
            ready, home = bring_up(name)
        else:
            ready = stack.enter_context(temporary_lab(["full"]))
            home = tmp_path_factory.mktemp("operator")
            stack.callback(removable, home)
        fleet = stack.enter_context(running_fleet(ready, home))
        fleet.play("site")
        yield fleet


@pytest.fixture(scope="session")
def releases() -> Releases:
    """What can be deployed."""
    return Releases()


@pytest.fixture
def pair(fleet: Fleet, releases: Releases) -> Iterator[tuple[str, str]]:
    """Names of the release that is on every host, and of another good one; nothing is remembered."""
    yield releases.pair(fleet)
    forget(fleet)


@pytest.fixture
def from_base(fleet: Fleet, releases: Releases) -> Iterator[None]:
    """The image's release is on every host; nothing is remembered."""
    releases.everywhere(fleet, "base")
    yield
    forget(fleet)


@pytest.fixture
def browser(fleet: Fleet) -> Iterator[httpx.Client]:
    """Keeps cookies, as a browser does."""
    address = fleet.lab.address("balancer1")
    trust = ssl.create_default_context(cafile=str(fleet.ca))
    with httpx.Client(base_url=f"https://{address}", verify=trust, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def green_afterwards(fleet: Fleet) -> Iterator[None]:
    """verify.yml finds nothing wrong once the test has ended."""
    yield
    fleet.play("verify")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless somebody asked for them."""
    named = [
        Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args
    ]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the hosts have told, while they are still there, when a test fails."""
    report = yield
    if report.failed and report.when == "call":
        collect_journals(item.nodeid.removeprefix("tests/fleet/"))
    return report
