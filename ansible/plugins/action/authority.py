"""The fleet's certificate authority, on the controller: its key never leaves it, and lies there encrypted."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible.plugins.action import ActionBase

CA_DAYS = 3650
# A host's clock may be a little behind ours.
SLACK = datetime.timedelta(minutes=10)


class ActionModule(ActionBase):
    """``state: present`` makes the authority if there is none; ``state: signed`` gives a host a certificate.

    Arguments: ``folder``, ``key`` (file with the passphrase, made when missing), ``subject`` (fleet's name);
    for ``signed`` also ``request`` and ``current`` (PEM), ``host``, ``group``, ``address`` and ``days``.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``ca`` is the authority's certificate; ``certificate`` the host's, ``days`` how long it holds."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = self._task.args
        authority = Authority(Path(wanted["folder"]), Path(wanted["key"]))
        if wanted["state"] == "present":
            made = not authority.exists()
            if made and not self._task.check_mode:
                authority.make(str(wanted["subject"]))
            result.update(changed=made, ca="" if made and self._task.check_mode else authority.certificate())
            return result
        now = datetime.datetime.now(datetime.UTC)
        certificate, changed = authority.sign(wanted, now)
        left = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc - now
        result.update(changed=changed, certificate=certificate, days=left.days, ca=authority.certificate())
        return result


class Authority:
    """One fleet's authority: ``ca.crt`` and ``ca.key``, encrypted with the passphrase in the file ``key``."""

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

    def certificate(self) -> str:
        """The authority's own certificate, PEM."""
        return (self.folder / "ca.crt").read_text(encoding="ascii")

    def make(self, subject: str) -> None:
        """A new authority; never over an old one."""
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{subject} authority")])
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(name, name, key.public_key(), now, now + datetime.timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(own, critical=False)
            .sign(key, hashes.SHA256())
        )
        encryption = serialization.BestAvailableEncryption(passphrase(self.key))
        form = serialization.PrivateFormat.PKCS8
        private = key.private_bytes(serialization.Encoding.PEM, form, encryption)
        write(self.folder / "ca.key", private)
        write(self.folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, wanted: dict[str, Any], now: datetime.datetime) -> tuple[str, bool]:
        """The host's certificate and whether it is a new one.

        One third of its time before it ends it is made anew; also when its names, key or authority changed.
        """
        request = x509.load_pem_x509_csr(str(wanted["request"]).encode())
        if not request.is_signature_valid:
            raise AnsibleActionFail(f"The request of {wanted['host']} is damaged.")
        authority = x509.load_pem_x509_certificate(self.certificate().encode())
        days = datetime.timedelta(days=int(wanted["days"]))
        names = _names(wanted)
        current = str(wanted["current"]).strip()
        if current and _holds(current, request, authority, names, now + days / 3):
            return current + "\n", False
        secret = serialization.load_pem_private_key(
            (self.folder / "ca.key").read_bytes(), passphrase(self.key)
        )
        if not isinstance(secret, ec.EllipticCurvePrivateKey):
            raise AnsibleActionFail(f"{self.folder}/ca.key is not the key of an authority of ours.")
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


def passphrase(path: Path) -> bytes:
    """What encrypts everything of a fleet on the controller; made when it is missing."""
    if not path.is_file():
        write(path, secrets.token_urlsafe(32).encode() + b"\n")
    if path.stat().st_mode & 0o077:
        raise AnsibleActionFail(f"{path} can be read by others: chmod 600 {path}")
    return path.read_bytes().strip()


def write(path: Path, content: bytes) -> None:
    """A whole file that nobody else can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


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
    hosts = [x509.DNSName(str(wanted["host"])), x509.DNSName("localhost")]
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
