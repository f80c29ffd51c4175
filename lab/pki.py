"""The lab's keys: authorities, certificates, the service account key and kubeconfigs."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import layout
from lab.files import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VALID = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


def directory() -> Path:
    """Return the directory of the lab's keys."""
    return layout.state() / "pki"


def pair(name: str) -> Pair:
    """Return where the pair of a name lies."""
    return Pair(directory() / f"{name}.crt", directory() / f"{name}.key")


def authority(name: str) -> Pair:
    """Return the self-signed authority of a name, made on first use."""
    found = pair(name)
    if not _fresh(found.certificate):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"aik-lab {name}", ())
        made = (
            _certificate(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _store(found, key, made)
    return found


def issue(
    name: str,
    signer: Pair,
    *,
    common_name: str,
    groups: Sequence[str] = (),
    hosts: Sequence[str] = (),
) -> Pair:
    """Return a pair of that name signed by `signer`: a server's if it has hosts, and a client's."""
    found = pair(name)
    signer_certificate = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
    if _fresh(found.certificate, issuer=signer_certificate):
        return found
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = _certificate(
        _subject(common_name, groups), signer_certificate.subject, key.public_key()
    )
    if hosts:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    made = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .sign(_private_key(signer.key), hashes.SHA256())
    )
    _store(found, key, made)
    return found


def service_account_key() -> Path:
    """Return the key that signs service account tokens (ECDSA), made on first use."""
    path = directory() / "service-accounts.key"
    if not path.exists():
        write(path, _pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def write_kubeconfig(path: Path, user: Pair, server: str = layout.API_SERVER) -> Path:
    """Write a self-contained kubeconfig for a user of the cluster, readable by its owner only."""
    cluster = {"server": server, "certificate-authority-data": _base64(pair("ca").certificate)}
    credentials = {
        "client-certificate-data": _base64(user.certificate),
        "client-key-data": _base64(user.key),
    }
    name = layout.CONTEXT
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return write(path, yaml.safe_dump(content, sort_keys=False))


def _fresh(certificate: Path, issuer: x509.Certificate | None = None) -> bool:
    """Tell whether a stored certificate can be used for a while, and is of this issuer."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        if issuer:
            found.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - absent, torn or of an earlier authority: all are made anew
        return False
    return _expiry(found) - datetime.now(UTC) > RENEW_BEFORE


def _expiry(certificate: x509.Certificate) -> datetime:
    """Return the end of validity as an aware time."""
    return certificate.not_valid_after_utc


def _subject(common_name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),
        not_valid_after=now + VALID,
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{path} is not an elliptic curve key; remove it and run `up` again"
        raise TypeError(message)
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _store(where: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    write(where.key, _pem(key))
    write(where.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
