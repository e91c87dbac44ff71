"""`check.yml` tells what is wrong with an inventory, all at once and before any host is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ansible.running import EXAMPLE, INVENTORIES, needs_ansible, run

yaml = pytest.importorskip("yaml")
Inventory = dict[str, dict[str, dict[str, object]]]

pytestmark = needs_ansible


@pytest.fixture
def inventory() -> Inventory:
    found: Inventory = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    return found


def check(inventory: Inventory, folder: Path) -> tuple[int, str]:
    """Exit code of check.yml, and everything that it says, its words one space apart."""
    file = folder / "hosts.yml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    done = run("ansible-playbook", "playbooks/check.yml", "-i", str(file), home=folder)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("name", ["example", "staging", "production"])
def test_an_example_can_be_a_fleet_and_is_short(name: str, tmp_path: Path) -> None:
    file = INVENTORIES / name / "hosts.yml"
    code, said = check(yaml.safe_load(file.read_text(encoding="utf-8")), tmp_path)
    assert code == 0, said
    assert len(file.read_text(encoding="utf-8").splitlines()) < 40


def test_production_asks_for_what_has_passed_staging() -> None:
    staging, production = (
        yaml.safe_load((INVENTORIES / name / "hosts.yml").read_text(encoding="utf-8"))["all"]["vars"]
        for name in ("staging", "production")
    )
    assert list(production["promotion_keys"]) == [staging["fleet_name"]]
    assert "promotion_keys" not in staging


def test_a_misspelt_variable_is_told_with_the_right_name(inventory: Inventory, tmp_path: Path) -> None:
    inventory["all"]["vars"]["postgres_rtp"] = "fast"
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "postgres_rtp is not a variable of any role: postgres_rto?" in said


def test_a_value_that_cannot_be_is_told_with_those_that_can(inventory: Inventory, tmp_path: Path) -> None:
    inventory["all"]["vars"]["postgres_rto"] = "quick"
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "postgres_rto must be one of: fast, normal, safe, got: quick" in said


def test_two_database_hosts_and_no_balancer_are_told_together(inventory: Inventory, tmp_path: Path) -> None:
    del inventory["balancer"], inventory["postgres"]["hosts"]["postgres3"]
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "postgres has 2 hosts: a majority must be left when one is lost" in said
    assert "balancer has 0 hosts: nothing would lead to the api hosts" in said


def test_a_group_that_somebody_else_provides_may_have_no_host(inventory: Inventory, tmp_path: Path) -> None:
    del inventory["balancer"]
    inventory["all"]["vars"]["fleet_external"] = ["balancer"]
    code, said = check(inventory, tmp_path)
    assert code == 0, said


def test_a_misspelt_group_is_told_with_the_right_name(inventory: Inventory, tmp_path: Path) -> None:
    inventory["postgress"] = inventory.pop("postgres")
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "There is no group postgress: postgres?" in said


def test_addresses_that_collide_or_lie_outside_are_told(inventory: Inventory, tmp_path: Path) -> None:
    inventory["api"]["hosts"] = {
        "api1": {"ansible_host": "198.51.100.1"},
        "api2": {"ansible_host": "192.0.2.20"},
    }
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "api1: 198.51.100.1 is not in fleet_subnet, 192.0.2.0/24." in said
    assert "have the same address, 192.0.2.20." in said


def test_documents_kept_by_somebody_else_need_an_address(inventory: Inventory, tmp_path: Path) -> None:
    del inventory["objects"]
    inventory["all"]["vars"]["fleet_external"] = ["objects"]
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "documents need another place: set assistant_s3_endpoint" in said
    inventory["all"]["vars"]["assistant_s3_endpoint"] = "https://s3.example.com"
    code, said = check(inventory, tmp_path)
    assert code == 0, said


def test_a_group_that_nobody_else_can_provide_is_told(inventory: Inventory, tmp_path: Path) -> None:
    del inventory["chroma"]
    inventory["all"]["vars"]["fleet_external"] = ["chroma"]
    code, said = check(inventory, tmp_path)
    assert code != 0
    assert "fleet_external names chroma; it can name balancer, objects, monitoring, backup." in said
