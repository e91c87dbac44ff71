"""rotate.yml under load: no request fails, no write is lost, and what was replaced counts for nothing."""

from __future__ import annotations

import time

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.used import unnoticed
from tests.fleet.vault import fleet_secrets, key_file
from tests.lab.errors import LabError

SECONDS = 1800
WHOLE = 180
TLS = "/etc/knowledge-assistant/tls"
OLD = "/root/before-rotation"
LOOK = """
import sys, boto3
from botocore.config import Config
access, secret = sys.stdin.read().split()
client = boto3.client("s3", endpoint_url="https://objects1:9000", region_name="us-east-1",
    aws_access_key_id=access, aws_secret_access_key=secret, verify="{tls}/ca.crt",
    config=Config(s3={{"addressing_style": "path"}}, retries={{"total_max_attempts": 1}}))
print(len(client.list_buckets()["Buckets"]))
"""
# by host: what only a certificate of the fleet's authority may do
DOORS = {
    "api1": [
        """curl -sSf --cacert {tls}/knowledge-assistant/ca.crt --cert {own}/host.crt --key {own}/host.key \\
          https://chroma1:8000/api/v2/heartbeat""",
        """PGCONNECT_TIMEOUT=5 psql -Atc 'SELECT 1' "host=postgres1,postgres2,postgres3 user=assistant \\
          dbname=assistant sslmode=verify-full sslrootcert={tls}/knowledge-assistant/ca.crt \\
          sslcert={own}/host.crt sslkey={own}/host.key" """,
    ],
    "postgres1": [
        """etcdctl --command-timeout=5s --endpoints=https://$(hostname):2379 --cacert={tls}/etcd/ca.crt \\
          --cert={own}/host.crt --key={own}/host.key endpoint health""",
    ],
}


def serials(fleet: Fleet) -> dict[str, str]:
    """Each host's certificate, by the number that it has."""
    return fleet.everywhere(f"openssl x509 -noout -serial -in {TLS}/host.crt")


def keys(fleet: Fleet) -> dict[str, str]:
    """The public half of each host's key."""
    return fleet.everywhere(f"openssl pkey -pubout -in {TLS}/host.key")


def database_starts(fleet: Fleet) -> dict[str, str]:
    """When each PostgreSQL and Patroni was started."""
    script = "systemctl show -P MainPID patroni; cat /data/postgres/17/postmaster.pid | head -3"
    return {name: fleet.output(name, script) for name in fleet.hosts("postgres")}


def keep_certificates(fleet: Fleet) -> None:
    """Copy what these hosts have now to where no playbook looks."""
    for host, user in (("api1", "knowledge-assistant"), ("postgres1", "etcd")):
        fleet.output(host, f"rm -rf {OLD} && cp -a {TLS}/{user} {OLD} && chown -R root: {OLD}")


def opened(fleet: Fleet, own: str = "") -> list[bool]:
    """Which doors a certificate opens; by default each host's own."""
    services = {"api1": f"{TLS}/knowledge-assistant", "postgres1": f"{TLS}/etcd"}
    return [
        fleet.lab.run(host, door.format(tls=TLS, own=own or services[host])).returncode == 0
        for host, doors in DOORS.items()
        for door in doors
    ]


def store_accepts(fleet: Fleet, pair: tuple[str, str]) -> bool:
    """Whether the object store takes these keys."""
    script = LOOK.format(tls=f"{TLS}/knowledge-assistant")
    program = f"/nix/var/nix/profiles/ka/bin/python -I -c '{script}'"
    done = fleet.lab.run("api1", f"printf '%s %s' {pair[0]} {pair[1]} | {program}")
    assert done.returncode == 0 or "InvalidAccessKeyId" in done.stderr or "AccessDenied" in done.stderr, done
    return done.returncode == 0


def pair(fleet: Fleet) -> tuple[str, str]:
    """The object store's keys of today."""
    found = fleet_secrets(fleet)
    return found["objects.access_key"], found["objects.secret_key"]


def test_new_certificates_are_taken_in_without_a_restart_of_the_database(fleet: Fleet) -> None:
    before, running = serials(fleet), database_starts(fleet)
    with unnoticed(fleet):
        fleet.play("rotate", "--tags", "certificates", timeout=SECONDS)
    after = serials(fleet)
    assert all(after[host] != before[host] for host in before)
    assert database_starts(fleet) == running


def test_every_host_gets_a_new_key_while_it_serves(fleet: Fleet) -> None:
    before, running = keys(fleet), database_starts(fleet)
    with unnoticed(fleet):
        fleet.play("rotate", "--tags", "certificates", "-e", "pki_new_keys=true", timeout=SECONDS)
    after = keys(fleet)
    assert all(after[host] != before[host] for host in before)
    assert database_starts(fleet) == running
    assert opened(fleet) == [True] * 3


def test_the_object_store_refuses_the_old_keys_once_all_use_the_new_ones(fleet: Fleet) -> None:
    before = pair(fleet)
    assert store_accepts(fleet, before)
    with unnoticed(fleet):
        fleet.play("rotate", "--tags", "secrets", timeout=SECONDS)
    after = pair(fleet)
    assert "objects.access_key.other" not in fleet_secrets(fleet)
    assert not set(before) & set(after)
    assert store_accepts(fleet, after)
    assert not store_accepts(fleet, before)


def test_a_certificate_of_the_old_authority_opens_no_door(fleet: Fleet) -> None:
    running = database_starts(fleet)
    keep_certificates(fleet)
    assert opened(fleet, OLD) == [True] * 3
    with unnoticed(fleet):
        fleet.play("rotate", "--tags", "trust", timeout=SECONDS)
        fleet.client.trust(fleet.ca.with_name("trusted.crt"))
        fleet.play("rotate", "--tags", "authority", timeout=SECONDS)
    assert database_starts(fleet) == running
    assert opened(fleet) == [True] * 3
    assert opened(fleet, OLD) == [False] * 3
    assert sum(fleet.play("site", timeout=SECONDS).changed.values()) == 0


@pytest.mark.parametrize("tag", ["secrets", "authority"])
def test_a_rotation_that_was_killed_goes_on_and_locks_nobody_out(fleet: Fleet, tag: str) -> None:
    for seconds in (8, 16, 24, 32):  # the shortest takes longer than any of these
        with pytest.raises(LabError, match="took longer"):
            fleet.play("rotate", "--tags", tag, timeout=seconds)
        fleet.client.trust(fleet.ca.with_name("trusted.crt"))
        fleet.wait_whole(WHOLE)
        fleet.play("site", timeout=SECONDS)
        assert not fleet.trouble()
    fleet.play("rotate", "--tags", tag, timeout=SECONDS)
    assert "under_way: nothing" in fleet.play("rotate", "--tags", "facts").output
    fleet.client.trust(fleet.ca.with_name("trusted.crt"))
    fleet.wait_whole(WHOLE)


def test_a_fleet_whose_certificates_have_all_expired_is_mended_by_site(fleet: Fleet) -> None:
    fleet.play("rotate", "--tags", "certificates", "-e", "pki_days=0.0007", timeout=SECONDS)
    time.sleep(70)
    assert fleet.trouble()
    fleet.play("site", timeout=SECONDS)
    fleet.wait_whole(WHOLE)
    assert sum(fleet.play("site", timeout=SECONDS).changed.values()) == 0


def test_a_new_passphrase_opens_what_the_old_one_did(fleet: Fleet) -> None:
    key = key_file(fleet)
    before, known = key.read_text(), fleet_secrets(fleet)
    fleet.play("rotate", "--tags", "passphrase")
    assert key.read_text() != before
    assert fleet_secrets(fleet) == known
    assert not key.with_name(f"{key.name}.next").exists()
    assert sum(fleet.play("site", timeout=SECONDS).changed.values()) == 0
