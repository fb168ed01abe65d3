"""The certificate that a server makes for itself."""

import datetime
import ipaddress
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from mapcast_client.errors import InputError
from stream.config import ServerConfig
from stream.tls import RENEWAL, VALIDITY, Certificate, server_certificate

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)


def made(cache: Path, now: datetime.datetime = NOW, host: str = "127.0.0.1") -> Certificate:
    certificate = server_certificate(ServerConfig(tls="auto", cache=cache, host=host), now)
    assert certificate is not None
    return certificate


def names(certificate: Certificate) -> x509.SubjectAlternativeName:
    parsed = x509.load_pem_x509_certificate(certificate.certificate.read_bytes())
    return parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_it_names_this_machine_and_belongs_to_its_key(tmp_path: Path) -> None:
    certificate = made(tmp_path, host="192.168.7.7")
    addresses = names(certificate).get_values_for_type(x509.IPAddress)
    assert ipaddress.ip_address("127.0.0.1") in addresses
    assert ipaddress.ip_address("192.168.7.7") in addresses
    assert "localhost" in names(certificate).get_values_for_type(x509.DNSName)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)  # raises if they differ


def test_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    certificate = made(tmp_path)
    assert stat.S_IMODE(certificate.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificate.key.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in certificate.key.parent.iterdir()) == [
        "certificate.pem",
        "key.pem",
    ]


def test_it_is_kept_until_it_ends_or_covers_too_little(tmp_path: Path) -> None:
    first = made(tmp_path).certificate.read_bytes()
    assert made(tmp_path, NOW + datetime.timedelta(days=300)).certificate.read_bytes() == first
    elsewhere = made(tmp_path, host="192.168.7.7").certificate.read_bytes()
    assert elsewhere != first
    assert made(tmp_path).certificate.read_bytes() == elsewhere  # it covers loopback, too
    late = NOW + VALIDITY - RENEWAL
    assert made(tmp_path, late).certificate.read_bytes() != elsewhere


@pytest.mark.parametrize("damage", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_one_is_replaced(tmp_path: Path, damage: str) -> None:
    made(tmp_path).certificate.write_text(damage)
    assert names(made(tmp_path))


def test_one_of_another_key_is_replaced(tmp_path: Path) -> None:
    kept, other = made(tmp_path / "kept"), made(tmp_path / "other")
    kept.key.write_bytes(other.key.read_bytes())
    made(tmp_path / "kept").check()  # raises if they differ


def test_what_a_crash_left_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o700)
    for name in ("key", "certificate"):
        (folder / f"{name}.{os.getpid()}").write_text("half")  # a container has few process ids
    made(tmp_path).check()


def test_files_that_are_given_are_taken(tmp_path: Path) -> None:
    own = made(tmp_path)
    given = ServerConfig(tls_certificate=own.certificate, tls_key=own.key, cache=tmp_path / "no")
    assert server_certificate(given, NOW) == own
    assert server_certificate(ServerConfig(cache=tmp_path / "no"), NOW) is None
    assert not (tmp_path / "no").exists()
    with pytest.raises(InputError, match="tls_key"):
        ServerConfig(tls_certificate=own.certificate)
