"""Replaces an authority, secrets and a passphrase, and ends the controller at each change of a file in turn.

tests/ansible/test_interrupted.py runs it with the interpreter that has Ansible: interrupted.py PLUGINS FOLDER
Prints how many places there were to end it; fails with what does not hold.
"""

from __future__ import annotations

import datetime
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from ansible.parsing.vault import VaultLib, VaultSecret
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

STEPS = ("adding", "switching", "dropping", "finished")
NAMES = ["objects.access_key", "objects.secret_key"]


class Ended(BaseException):
    """The controller is gone; nothing catches it."""


@contextmanager
def ended_before(change: int) -> Iterator[list[int]]:
    """The given change of a file's name does not happen, nor anything after it; counts those that did."""
    count = [0]

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*words: Any, **named: Any) -> Any:
            if count[0] == change:
                raise Ended
            count[0] += 1
            return real(*words, **named)

        return act

    with (
        mock.patch.object(Path, "replace", counting(Path.replace)),
        mock.patch.object(Path, "unlink", counting(Path.unlink)),
    ):
        yield count


class Operator:
    """Does what rotate.yml makes the controller do, on a folder of its own."""

    def __init__(self, plugins: Path, folder: Path) -> None:
        sys.path.append(str(plugins))
        self._authority = _load(plugins / "action" / "authority.py")
        self._secrets = _load(plugins / "action" / "fleet_secrets.py")
        self._passphrase = _load(plugins / "action" / "fleet_passphrase.py")
        self.folder, self._key = folder / "fleet", folder / "fleet.key"

    def authority(self) -> Any:
        """The authority as a play finds it."""
        found = self._authority.Authority(self.folder, self._key)
        if not found.exists():
            found.make("ca", "test")
        found.settle()
        return found

    def replace_authority(self) -> None:
        """All steps that are due; after each one every host gets a certificate."""
        for step in STEPS:
            authority = self.authority()
            if self._authority.due(step, authority.step(), self.folder):
                authority.take(step, "test")
            self.certificate()

    def certificate(self) -> x509.Certificate:
        """One that is signed now."""
        secret = ec.generate_private_key(ec.SECP256R1())
        request = (
            x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(secret, hashes.SHA256())
        )
        wanted = {
            "request": request.public_bytes(serialization.Encoding.PEM).decode(),
            "current": "",
            "trusted": "",
            "host": "host1",
            "group": "api",
            "subject": "test",
            "address": "192.0.2.1",
            "names": [],
            "days": 1,
            "renew": False,
        }
        text, _ = self.authority().sign(wanted, datetime.datetime.now(datetime.UTC))
        return x509.load_pem_x509_certificate(text.encode())

    def trusts(self, certificate: x509.Certificate) -> bool:
        """Whether a host that asks now is told to trust it."""
        for authority in x509.load_pem_x509_certificates(self.authority().trusted().encode()):
            if authority.subject == certificate.issuer:
                certificate.verify_directly_issued_by(authority)
                return True
        return False

    def secrets(self, step: str = "") -> tuple[dict[str, str], dict[str, str]]:
        """The secrets and the second ones, after a step."""
        arguments = {"folder": self.folder, "key": self._key, "names": NAMES, "step": step}
        found = self._run(self._secrets, arguments)
        return found["secrets"], found["others"]

    def replace_passphrase(self) -> None:
        """As the tag `passphrase` does."""
        self._run(self._passphrase, {"folder": self.folder, "key": self._key})

    def passphrase(self) -> bytes:
        """The one of now."""
        return self._key.read_bytes()

    def _run(self, plugin: ModuleType, arguments: dict[str, Any]) -> dict[str, Any]:
        task = mock.Mock(args=arguments, check_mode=False)
        action = plugin.ActionModule(task, None, None, None, None, None)
        with mock.patch.object(plugin.ActionBase, "run", return_value={}):
            found: dict[str, Any] = action.run()
        return found


def must(holds: bool, what: str) -> None:
    """End the program unless it does."""
    if not holds:
        raise SystemExit(f"not so: {what}")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not spec or not spec.loader:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def authority_ended(operator: Operator, change: int) -> bool:
    """Whether it was ended; nobody was locked out, and the next run completes it."""
    before = operator.certificate()
    try:
        with ended_before(change):
            operator.replace_authority()
    except Ended:
        between = operator.certificate()
        must(operator.trusts(between), "a certificate of this moment is trusted")
        if operator.authority().step() != "dropping" and (operator.folder / "old.crt").exists():
            must(operator.trusts(before), "the old authority is trusted until it is dropped")
        operator.replace_authority()
        ended = True
    else:
        ended = False
    must(operator.authority().step() == "", "the authority is replaced")
    left = {path.name for path in operator.folder.glob("*.crt")} - {"trusted.crt"}
    must(left == {"ca.crt"}, f"authorities left: {left}")
    must(not operator.trusts(before), "the old authority is not trusted")
    must(operator.trusts(operator.certificate()), "the new authority is trusted")
    return ended


def secrets_ended(operator: Operator, change: int) -> bool:
    """Whether it was ended; who uses what was current before the end is accepted after it."""
    before, _ = operator.secrets()
    try:
        with ended_before(change):
            for step in STEPS:
                operator.secrets(step)
    except Ended:
        now, others = operator.secrets()
        must(now == before or others in (before, {}), "old secrets are accepted until they are dropped")
        for step in STEPS:
            operator.secrets(step)
        ended = True
    else:
        ended = False
    after, others = operator.secrets()
    must(not others, "no second secret is left")
    must(not set(before.values()) & set(after.values()), "every secret is new")
    return ended


def passphrase_ended(operator: Operator, change: int) -> bool:
    """Whether it was ended; everything can be opened at any time."""
    known, before = operator.secrets(), operator.passphrase()
    try:
        with ended_before(change):
            operator.replace_passphrase()
    except Ended:
        must(operator.secrets() == known, "the secrets are what they were")
        operator.certificate()
        operator.replace_passphrase()
        ended = True
    else:
        ended = False
    must(operator.passphrase() != before, "the passphrase is new")
    must(operator.secrets() == known, "the secrets are what they were")
    operator.certificate()
    vault = (operator.folder / "secrets.yml").read_bytes()
    VaultLib([("default", VaultSecret(operator.passphrase().strip()))]).decrypt(vault)
    return ended


def main() -> None:
    """See above."""
    operator = Operator(Path(sys.argv[1]), Path(sys.argv[2]))
    places = 0
    for trial in (authority_ended, secrets_ended, passphrase_ended):
        change = 0
        while trial(operator, change):
            change += 1
        must(change > 0, f"{trial.__name__}: never ended")
        places += change
    sys.stdout.write(f"{places}\n")


main()
