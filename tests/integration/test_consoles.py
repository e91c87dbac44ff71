"""The pages that Prometheus serves of the fleet and each host, and what dashboards ask, by a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from tests.support.panels import DASHBOARDS, SHOWN
from tests.support.paper_fleet import BROKEN, GROUPS, QUIET, Faults
from tests.support.rules import ALERTS
from tests.support.watched import page, query, watched

HOSTS = sorted(host for hosts in GROUPS.values() for host in hosts)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the pages of a fleet at rest."""
    with watched(tmp_path_factory.mktemp("quiet"), QUIET) as url:
        yield f"{url}/consoles"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the pages of a fleet with faults."""
    with watched(tmp_path_factory.mktemp("broken"), BROKEN) as url:
        yield f"{url}/consoles"


def words(address: str) -> str:
    """What is to be read on a page."""
    text = re.sub(r"<(style|title)>.*?</\1>|<[^>]+>", " ", page(address), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(text))


def test_a_fleet_at_rest_is_well(quiet: str) -> None:
    shown = words(f"{quiet}/index.html")
    assert f"All is well. {len(HOSTS)} of {len(HOSTS)} hosts and" in shown
    assert "Primary postgres1" in shown
    assert [rule["alert"] for rule in ALERTS if rule["alert"] in shown] == []
    assert [host for host in HOSTS if host not in shown] == []


@pytest.mark.parametrize("host", HOSTS)
def test_each_host_has_a_page(quiet: str, host: str) -> None:
    assert "Nothing on it needs anybody." in words(f"{quiet}/host.html?host={host}")


def test_a_fleet_with_faults_says_how_many_and_what_to_do(broken: str) -> None:
    shown = words(f"{broken}/index.html")
    assert re.search(r"\d things need somebody now\. 8 of 9 hosts", shown)
    assert "Nothing on postgres3 (postgres) answers; 4 services cannot be read. now HostDown" in shown
    assert "/data of objects1 is 97 % full" in shown
    assert 'href="runbooks/DiskFull.md"' in page(f"{broken}/index.html")


def test_every_alert_that_fires_stands_on_the_page_with_its_sentence(broken: str) -> None:
    text = page(f"{broken}/index.html")
    firing = query(broken.removesuffix("/consoles"), 'count by (alertname) (ALERTS{alertstate="firing"})')
    names = {one["metric"]["alertname"] for one in firing} - {"Watchdog"}
    assert len(names) >= 5
    items = re.findall(r'<li class="\w+">(.*?)</li>', text, re.DOTALL)
    told = {name for item in items if "<p>" in item for name in re.findall(r"runbooks/(\w+)\.md", item)}
    assert told == names


def test_a_hosts_page_has_its_own_alerts_alone(broken: str) -> None:
    shown = words(f"{broken}/host.html?host=objects1")
    assert "Something on it needs somebody now. /data of objects1 is 97 % full" in shown
    assert "HostDown" not in shown
    assert "Nothing on it answers." in words(f"{broken}/host.html?host=postgres3")


@pytest.mark.parametrize("name", ["nobody", "", 'a"} or up{host!="', "<script>alert(1)</script>", "`"])
def test_a_name_that_no_host_has_is_said_to_be_unknown(quiet: str, name: str) -> None:
    address = f"{quiet}/host.html?host={quote(name)}"
    assert "Prometheus knows no host of this name." in words(address)
    assert "<script" not in page(address)


def test_nobody_is_told_that_all_is_well_when_nothing_is_read(tmp_path: Path) -> None:
    with watched(tmp_path, Faults(away=set(HOSTS))) as url:
        assert "do not believe this page. " in words(f"{url}/consoles/index.html")


def test_the_runbook_of_each_alert_can_be_read(quiet: str) -> None:
    for rule in ALERTS:
        assert page(f"{quiet}/runbooks/{rule['alert']}.md").startswith(f"# {rule['alert']}: ")


@pytest.mark.parametrize("dashboard", sorted(DASHBOARDS))
def test_prometheus_can_compute_what_a_dashboard_asks(broken: str, dashboard: str) -> None:
    for one in SHOWN:
        if one.place == dashboard:
            query(broken.removesuffix("/consoles"), one.expression)


def test_a_page_that_there_is_not_is_an_error(quiet: str) -> None:
    with pytest.raises(HTTPError):
        page(f"{quiet}/nothing.html")
