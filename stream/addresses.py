"""Where others reach this machine, found without asking the network."""

import contextlib
import fcntl
import ipaddress
import socket
import struct

_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface, at byte 20 of the answered `ifreq`."""
_ANYWHERE = ("192.0.2.1", "2001:db8::1")
"""Reserved for documentation: connecting a UDP socket there only looks up the route."""


def lan_addresses(host: str) -> list[str]:
    """The addresses at which a server that listens on `host` is reached from other machines.

    The one towards the default route comes first; none on loopback.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return [] if host == "localhost" else [host]
    if not address.is_unspecified:
        return [] if address.is_loopback else [host]
    versions = (4,) if address.version == 4 else (4, 6)
    found = [*_routed_addresses(), *_interface_addresses()]
    return [text for text in dict.fromkeys(found) if _is_usable(text, versions)]


def own_names() -> list[str]:
    """The names of this machine: the host's, and the one that phones find it by (mDNS)."""
    name = socket.gethostname()
    if not name.isascii():
        return []
    return [name] if "." in name else [name, f"{name}.local"]


def local_address(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def url_of(scheme: str, host: str, port: int) -> str:
    """An URL; IPv6 addresses get their brackets."""
    return f"{scheme}://{with_port(host, port)}"


def with_port(host: str, port: int) -> str:
    """`host:port`; IPv6 addresses get their brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_usable(text: str, versions: tuple[int, ...]) -> bool:
    address = ipaddress.ip_address(text)
    return address.version in versions and not (address.is_loopback or address.is_link_local)


def _routed_addresses() -> list[str]:
    found = []
    for family, target in zip((socket.AF_INET, socket.AF_INET6), _ANYWHERE, strict=True):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def _interface_addresses() -> list[str]:
    """IPv4 addresses of all interfaces: behind a VPN the default route is not the LAN's."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):  # one without an address
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(answer[20:24]))
    return found
