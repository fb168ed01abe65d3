"""The server's certificate: the one it was given, or one that it makes and keeps.

Phones give their camera only to pages from a secure origin, so a server in a living room needs
TLS before it has a name. Nobody vouches for a self-made certificate: browsers ask once, the SDK
takes its file as `ca`.
"""

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mapcast_client.errors import InputError
from stream.addresses import lan_addresses, own_names
from stream.config import ServerConfig

VALIDITY = datetime.timedelta(days=397)
"""Browsers refuse certificates of longer life."""
RENEWAL = datetime.timedelta(days=7)
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain and its key, PEM files."""

    certificate: Path
    key: Path

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For gRPC's port."""
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.certificate.read_bytes())])

    def check(self) -> None:
        """Raise InputError unless the files are a certificate and its key, without a password."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise InputError(
                f"tls_certificate {self.certificate} and tls_key {self.key} cannot be used: {error}"
            ) from None


def server_certificate(config: ServerConfig, now: datetime.datetime) -> Certificate | None:
    """What the server shows its clients; None: no TLS.

    `tls = "auto"` makes a certificate for this machine's names and addresses, and keeps it in the
    cache until it expires or does not cover them any more. Raises InputError for files that are
    no certificate and key.
    """
    if config.tls_certificate is not None and config.tls_key is not None:
        given = Certificate(config.tls_certificate, config.tls_key)
        given.check()
        return given
    if config.tls == "off":
        return None
    folder = config.cache / "tls"
    kept = Certificate(folder / "certificate.pem", folder / "key.pem")
    names = dict.fromkeys([*_LOCAL, *own_names(), *lan_addresses(config.host)])
    if not _covers(kept, names, now):
        _make(kept, names, now)
    return kept


def _covers(kept: Certificate, names: Iterable[str], now: datetime.datetime) -> bool:
    """Whether a kept certificate still does."""
    try:
        certificate = x509.load_pem_x509_certificate(kept.certificate.read_bytes())
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        kept.check()
    except (OSError, ValueError, InputError, x509.ExtensionNotFound):
        return False
    is_fresh = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWAL
    covered = set(extension.value)
    return is_fresh and covered.issuperset(map(_general_name, names))


def _make(kept: Certificate, names: Iterable[str], now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mapcast")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks of phones differ
        .not_valid_after(now + VALIDITY - datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    kept.certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(kept.key, key_pem, 0o600)
    _write(kept.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file that nobody sees half-written, or with other rights than `mode`."""
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.")
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
    Path(partial).replace(path)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
