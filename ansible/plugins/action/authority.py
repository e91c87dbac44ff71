"""The fleet's certificate authority, on the controller: its key never leaves it, and lies there encrypted."""

from __future__ import annotations

import datetime
import ipaddress
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).parents[1]))
from shared.kept import STEPS, due, passphrases, sync, write

CA_DAYS = 3650
# A host's clock may be a little behind ours.
SLACK = datetime.timedelta(minutes=10)


class ActionModule(ActionBase):
    """``state: present`` makes the authority if there is none; ``state: signed`` gives a host a certificate.

    Arguments: ``folder``, ``key`` (file with the passphrase, made when missing), ``subject`` (fleet's name);
    for ``present`` also ``step``, to replace the authority; for ``signed`` also ``request``, ``current`` and
    ``trusted`` (PEM, what the host has now), ``host``, ``group``, ``address``, ``names`` (further ones),
    ``days`` and ``renew``.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``trusted`` is what hosts are to trust, ``certificate`` the host's, ``days`` how long it holds."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = self._task.args
        authority = Authority(Path(wanted["folder"]), Path(wanted["key"]))
        if wanted["state"] == "present":
            made = not authority.exists()
            if made and self._task.check_mode:
                result.update(changed=True, trusted="")
                return result
            if made:
                authority.make("ca", str(wanted["subject"]))
            elif not self._task.check_mode:
                authority.settle()
            step = str(wanted.get("step") or "")
            stepped = bool(step) and due(step, authority.step(), authority.folder)
            if stepped and not self._task.check_mode:
                authority.take(step, str(wanted["subject"]))
            if not self._task.check_mode:
                authority.hand_out()
            result.update(changed=made or stepped, trusted=authority.trusted(), **authority.facts())
            return result
        now = datetime.datetime.now(datetime.UTC)
        certificate, changed = authority.sign(wanted, now)
        left = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc - now
        result.update(changed=changed, certificate=certificate, days=left.days, trusted=authority.trusted())
        return result


class Authority:
    """One fleet's authority: ``ca.crt`` and ``ca.key``, encrypted with the passphrase in the file ``key``.

    While it is replaced there are also ``step``, the next one (``next.crt``, ``next.key``) until it signs,
    and from then on the certificate of the old one (``old.crt``).
    """

    def __init__(self, folder: Path, key: Path) -> None:
        self.folder = folder
        self.key = key

    def exists(self) -> bool:
        """Whether there is one; half of one is an error."""
        present = [(self.folder / name).is_file() for name in ("ca.crt", "ca.key")]
        if any(present) and not all(present):
            raise AnsibleActionFail(f"{self.folder} has only one of ca.crt and ca.key: restore the other.")
        if all(present) and not self.key.is_file():
            raise AnsibleActionFail(
                f"{self.key} is missing; without it {self.folder} cannot be read. Restore it."
            )
        return all(present)

    def trusted(self) -> str:
        """Certificates of all authorities that hosts are to trust, PEM; the same text for the same ones."""
        found = {
            path.read_text(encoding="ascii")
            for path in (self.folder / f"{name}.crt" for name in ("ca", "next", "old"))
            if path.is_file()
        }
        return "".join(sorted(found))

    def hand_out(self) -> None:
        """Write what clients outside of the fleet are to trust: ``trusted.crt``."""
        path, wanted = self.folder / "trusted.crt", self.trusted().encode()
        if not path.is_file() or path.read_bytes() != wanted:
            write(path, wanted)

    def facts(self) -> dict[str, str]:
        """The authority's name, the day on which it ends, and the step of its replacement."""
        own = self._certificate()
        name = str(own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        return {"name": name, "until": f"{own.not_valid_after_utc:%Y-%m-%d}", "now": self.step()}

    def make(self, name: str, subject: str) -> None:
        """A new authority's key, and then its certificate."""
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        # its key's mark tells it from the one before, which clients look up by name
        title = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"{subject} authority {own.digest[:4].hex()}")]
        )
        certificate = (
            _builder(title, title, key.public_key(), now, now + datetime.timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(own, critical=False)
            .sign(key, hashes.SHA256())
        )
        encryption = serialization.BestAvailableEncryption(passphrases(self.key)[-1])
        form = serialization.PrivateFormat.PKCS8
        private = key.private_bytes(serialization.Encoding.PEM, form, encryption)
        write(self.folder / f"{name}.key", private)
        write(self.folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def step(self) -> str:
        """How far its replacement is; empty when none is under way."""
        path = self.folder / "step"
        found = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if found not in STEPS:
            raise AnsibleActionFail(f"{path} says '{found}', which is no step: restore the folder.")
        return found

    def take(self, step: str, subject: str) -> None:
        """The next step. Ended in the middle, it can be taken again, and every certificate still holds."""
        if step == "adding":
            self.make("next", subject)
        elif step == "switching":
            self._switch()
        elif step == "dropping":
            (self.folder / "old.crt").unlink(missing_ok=True)
        if step == "finished":
            (self.folder / "step").unlink()
            sync(self.folder)
        else:
            write(self.folder / "step", step.encode())

    def settle(self) -> None:
        """Complete a switch that was ended in the middle."""
        if (self.folder / "next.crt").is_file() and not (self.folder / "next.key").is_file():
            self._switch()

    def _switch(self) -> None:
        if (self.folder / "next.key").is_file():
            write(self.folder / "old.crt", (self.folder / "ca.crt").read_bytes())
            (self.folder / "next.key").replace(self.folder / "ca.key")
        if (self.folder / "next.crt").is_file():
            (self.folder / "next.crt").replace(self.folder / "ca.crt")
        sync(self.folder)

    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / "ca.crt").read_bytes())

    def _secret(self) -> ec.EllipticCurvePrivateKey:
        content = (self.folder / "ca.key").read_bytes()
        for each in passphrases(self.key):
            try:
                secret = serialization.load_pem_private_key(content, each)
            except ValueError:
                continue
            if isinstance(secret, ec.EllipticCurvePrivateKey):
                return secret
        raise AnsibleActionFail(f"{self.folder}/ca.key cannot be opened with what is in {self.key}.")

    def sign(self, wanted: dict[str, Any], now: datetime.datetime) -> tuple[str, bool]:
        """The host's certificate and whether it is a new one.

        It is made anew when a third of its time is left, when its names, key or authority changed, and when
        anything changes in what the host trusts: Patroni looks at that only together with a new certificate.
        """
        request = x509.load_pem_x509_csr(str(wanted["request"]).encode())
        if not request.is_signature_valid:
            raise AnsibleActionFail(f"The request of {wanted['host']} is damaged.")
        authority = self._certificate()
        days = datetime.timedelta(days=float(wanted["days"]))
        names = _names(wanted)
        current = str(wanted["current"]).strip()
        settled = not wanted["renew"] and str(wanted["trusted"]).strip() == self.trusted().strip()
        if settled and current and _holds(current, request, authority, names, now + days / 3):
            return current + "\n", False
        secret = self._secret()
        if secret.public_key() != authority.public_key():
            raise AnsibleActionFail(f"{self.folder}: ca.key and ca.crt do not belong together. Restore them.")
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        until = min(now + days, authority.not_valid_after_utc)
        signed = (
            _builder(_subject(wanted), authority.subject, request.public_key(), now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(names, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(secret.public_key()), critical=False
            )
            .sign(secret, hashes.SHA256())
        )
        return signed.public_bytes(serialization.Encoding.PEM).decode(), True


def _subject(wanted: dict[str, Any]) -> x509.Name:
    """CN is the host, OU its group: who asks is known by its certificate."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, str(wanted["subject"])),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(wanted["group"])),
            x509.NameAttribute(NameOID.COMMON_NAME, str(wanted["host"])),
        ]
    )


def _names(wanted: dict[str, Any]) -> x509.SubjectAlternativeName:
    hosts = [x509.DNSName(str(name)) for name in (wanted["host"], "localhost", *wanted["names"])]
    addresses = [x509.IPAddress(ipaddress.ip_address(str(text))) for text in (wanted["address"], "127.0.0.1")]
    return x509.SubjectAlternativeName([*hosts, *addresses])


def _holds(
    current: str,
    request: x509.CertificateSigningRequest,
    authority: x509.Certificate,
    names: x509.SubjectAlternativeName,
    until: datetime.datetime,
) -> bool:
    certificate = x509.load_pem_x509_certificate(current.encode())
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 -- the library raises several kinds; each means that it is another authority's
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    same_key = certificate.public_key() == request.public_key()
    return same_key and found == names and certificate.not_valid_after_utc > until


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Any, now: datetime.datetime, until: datetime.datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - SLACK,
        not_valid_after=until,
    )
