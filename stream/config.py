"""The server's settings: defaults, a TOML file, the environment and the command line."""

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from gpu.discovery import AUTO, MEMORY_SHARE
from mapcast_client.errors import InputError
from slam.refine import why_unavailable

ENVIRONMENT_PREFIX = "MAPCAST_"
MIN_RECORDINGS_BYTES = 16 << 20
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,}")
_ICE_HOST = r"[^?:/@\s]+(:[0-9]{1,5})?"
_ICE_URL = re.compile(rf"stuns?:{_ICE_HOST}|turns?:{_ICE_HOST}(\?transport=(udp|tcp))?")
"""RFC 7064 and 7065, without IPv6 addresses, which aiortc does not read."""
_ACCESS = ("auto", "open", "closed")
_TLS = ("off", "auto")


def user_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for what can be made again: unpacked vocabulary, rendered frames."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mapcast"


def user_data(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for what cannot be made again: recordings."""
    base = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "mapcast"


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, as RTCIceServer in browsers."""

    urls: str
    username: str = ""
    credential: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not _ICE_URL.fullmatch(self.urls):
            raise InputError(
                f"ice_servers: {self.urls!r:.60} is no address such as stun:HOST:PORT or "
                "turn:HOST:PORT?transport=udp"
            )


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything `mapcast serve` can be told."""

    host: str = "127.0.0.1"
    http_port: int = 8430
    """0: any free port."""
    grpc_port: int = 8431
    web_dir: Path | None = None
    """The viewer's production bundle; None: no page at `/`."""
    vocabulary: Path | None = None
    """An ORB vocabulary in DBoW2's text format; None: the shipped one."""
    cache: Path = field(default_factory=user_cache)
    backend: str = AUTO
    """Where volumes are fused: auto (the first GPU, else the CPU), cpu, cuda, opencl or webgpu,
    with a device's number or a part of its name after a colon."""
    device_memory_share: float = MEMORY_SHARE
    """What each session may take of a device's free memory."""

    access: str = "auto"
    """open: anyone may do all; closed: tokens are needed; auto: open on loopback only."""
    api_token: str = field(default="", repr=False)
    """The token of a closed server; empty: one is made at each start."""
    cors_origins: tuple[str, ...] = ()
    """Pages of other origins that may use this server, as `https://maps.example`; `*`: all."""
    tls: str = "off"
    """auto: a certificate is made and kept in the cache."""
    tls_certificate: Path | None = None
    """PEM files; given, TLS is on."""
    tls_key: Path | None = None
    depth_models: Path | None = None
    """A folder of depth networks, each described by a NAME.toml."""

    maps: Path | None = None
    """A folder for maps that are saved by name; None: they are not."""
    refine: bool = False
    """Refine the keyframes of tracked sessions in the background; needs pycolmap."""

    recordings: Path | None = None
    """A folder that every session is recorded in; None, or `off`: none is."""
    recordings_bytes: int = 20 << 30
    """Of all recordings together; beyond it the oldest parts go."""
    recordings_age_days: float = 30.0
    """Older parts go."""

    ice_servers: tuple[IceServer, ...] = ()
    """For WebRTC publishers that are not in this network; in the environment as JSON."""
    udp_port_min: int = 0
    """The UDP ports of WebRTC, both included; 0: any."""
    udp_port_max: int = 0

    max_sessions: int = 8
    """Finished sessions make room for new ones; live ones do not."""
    max_subscribers: int = 256
    keep_warm_worker: bool = True
    queue_frames: int = 1
    """Frames of a session that may wait for its worker, beside those that it is at."""
    window_frames: int = 4
    """Unanswered frames that a lossless sender is told to keep at most."""
    sender_timeout_s: float = 60.0
    """A session whose sender left is finished after this."""
    first_sender_timeout_s: float = 600.0
    """A session that never had a sender is finished after this."""
    stall_timeout_s: float = 60.0
    """A worker that owes an answer and is silent for so long is ended."""
    subscriber_stall_timeout_s: float = 600.0
    """A subscriber that takes nothing for so long is let go."""
    message_bytes: int = 512 << 10
    """Row bytes in one mesh message, before compression."""

    def __post_init__(self) -> None:
        for name in ("http_port", "grpc_port", "udp_port_min", "udp_port_max"):
            if not 0 <= getattr(self, name) <= 65535:
                raise InputError(f"{name} is {getattr(self, name)}, must be 0 to 65535")
        for name in ("max_sessions", "max_subscribers", "queue_frames", "window_frames"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, must be at least 1")
        for name in (
            "sender_timeout_s",
            "first_sender_timeout_s",
            "stall_timeout_s",
            "subscriber_stall_timeout_s",
        ):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}, must be positive")
        if not 1 << 10 <= self.message_bytes <= 32 << 20:
            raise InputError(f"message_bytes is {self.message_bytes}, must be 1 KiB to 32 MiB")
        if self.udp_port_min > self.udp_port_max or (self.udp_port_min == 0) != (
            self.udp_port_max == 0
        ):
            raise InputError(
                f"udp_port_min is {self.udp_port_min} and udp_port_max {self.udp_port_max}, "
                "must be a range, or both 0"
            )
        if not 0 < self.device_memory_share <= 1:
            raise InputError(
                f"device_memory_share is {self.device_memory_share}, must be above 0, at most 1"
            )
        self._check_recordings()
        if self.refine and (reason := why_unavailable()):
            raise InputError(f"refine is on, but {reason}")
        self._check_access()
        for name in ("web_dir", "vocabulary", "tls_certificate", "tls_key", "depth_models"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise InputError(f"{name} is {path}, which does not exist")

    def _check_recordings(self) -> None:
        if self.recordings_bytes < MIN_RECORDINGS_BYTES:
            raise InputError(
                f"recordings_bytes is {self.recordings_bytes}, must be at least "
                f"{MIN_RECORDINGS_BYTES}: 16 MiB"
            )
        if not self.recordings_age_days > 0:
            raise InputError(f"recordings_age_days is {self.recordings_age_days}, must be positive")

    def _check_access(self) -> None:
        for name, allowed in (("access", _ACCESS), ("tls", _TLS)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, must be one of {', '.join(allowed)}"
                )
        if self.api_token and not _TOKEN.fullmatch(self.api_token):
            raise InputError(
                "api_token must be at least 8 characters of A-Z a-z 0-9 - . _ ~ + / = "
                f"(it has {len(self.api_token)})"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InputError("tls_certificate and tls_key go together: one of them is missing")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_closed(self) -> bool:
        """Whether requests need tokens."""
        return self.access == "closed" or (self.access == "auto" and not self.is_loopback)

    @classmethod
    def load(
        cls,
        toml: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        defaults: Mapping[str, Any] = MappingProxyType({}),
        **overrides: Any,
    ) -> Self:
        """Compose: an override wins over MAPCAST_NAME, which wins over the file's `name`.

        `defaults` are the caller's own. An override of None is no override. Raises InputError,
        naming the source and the setting.
        """
        values: dict[str, Any] = dict(defaults)
        known = {item.name: item.type for item in fields(cls)}
        if toml is not None:
            try:
                from_file = tomllib.loads(toml.read_text())
            except (OSError, tomllib.TOMLDecodeError) as error:
                raise InputError(f"configuration {toml}: {error}") from None
            for name in from_file:
                if name not in known:
                    raise InputError(f"configuration {toml}: unknown setting {name!r}")
            values |= from_file
        for name in known:
            if (text := environment.get(ENVIRONMENT_PREFIX + name.upper())) is not None:
                values[name] = text
        values |= {name: value for name, value in overrides.items() if value is not None}
        return cls(**{name: _convert(name, value, known[name]) for name, value in values.items()})


def _convert(name: str, value: Any, kind: Any) -> Any:
    """A value of the setting's type, from TOML's or the environment's."""
    if name == "recordings" and value == "off":
        return None
    if name == "cors_origins":
        return _origins(value)
    if name == "ice_servers":
        return _ice_servers(value)
    try:
        if kind is bool and isinstance(value, str):
            return {"1": True, "true": True, "0": False, "false": False}[value.lower()]
        if kind in (int, float, bool, str):
            return kind(value)
        return Path(value)
    except (ValueError, TypeError, KeyError):
        wanted = kind.__name__ if isinstance(kind, type) else "a path"
        raise InputError(f"setting {name} is {value!r}, must be {wanted}") from None


def _origins(value: Any) -> tuple[str, ...]:
    """A list, or text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    origins = tuple(str(item).strip().rstrip("/") for item in items)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
            raise InputError(
                f"cors_origins: {origin!r:.80} is no origin such as https://maps.example"
            )
    return origins


def _ice_servers(value: Any) -> tuple[IceServer, ...]:
    """A list of addresses and tables, or the same as JSON text. Errors name no credential."""
    try:
        items = json.loads(value) if isinstance(value, str) else value
        return tuple(
            IceServer(item) if isinstance(item, str) else IceServer(**item) for item in items
        )
    except (TypeError, AttributeError, json.JSONDecodeError):
        raise InputError(
            'ice_servers must be a list such as ["stun:stun.example:3478", {"urls": '
            '"turn:turn.example:3478", "username": "…", "credential": "…"}]'
        ) from None
