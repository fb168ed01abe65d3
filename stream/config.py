"""The server's settings: defaults, a TOML file, the environment and the command line."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from mapcast_client.errors import InputError

ENVIRONMENT_PREFIX = "MAPCAST_"


def user_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for what can be made again: unpacked vocabulary, rendered frames."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mapcast"


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

    max_sessions: int = 8
    """Finished sessions make room for new ones; live ones do not."""
    max_subscribers: int = 256
    keep_warm_worker: bool = True
    queue_frames: int = 4
    """Frames of a session that may wait for its worker."""
    window_frames: int = 4
    """Unanswered frames that a lossless sender is told to keep at most."""
    sender_timeout_s: float = 60.0
    """A session without a sender is finished after this."""
    stall_timeout_s: float = 60.0
    """A worker that owes an answer and is silent for so long is ended."""
    subscriber_stall_timeout_s: float = 600.0
    """A subscriber that takes nothing for so long is let go."""
    message_bytes: int = 512 << 10
    """Row bytes in one mesh message, before compression."""

    def __post_init__(self) -> None:
        for name in ("http_port", "grpc_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise InputError(f"{name} is {getattr(self, name)}, must be 0 to 65535")
        for name in ("max_sessions", "max_subscribers", "queue_frames", "window_frames"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, must be at least 1")
        for name in ("sender_timeout_s", "stall_timeout_s", "subscriber_stall_timeout_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}, must be positive")
        if not 1 << 10 <= self.message_bytes <= 32 << 20:
            raise InputError(f"message_bytes is {self.message_bytes}, must be 1 KiB to 32 MiB")
        for name in ("web_dir", "vocabulary"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise InputError(f"{name} is {path}, which does not exist")

    @classmethod
    def load(
        cls,
        toml: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        **overrides: Any,
    ) -> Self:
        """Compose: an override wins over MAPCAST_NAME, which wins over the file's `name`.

        An override of None is no override. Raises InputError, naming the source and the setting.
        """
        values: dict[str, Any] = {}
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
    try:
        if kind is bool and isinstance(value, str):
            return {"1": True, "true": True, "0": False, "false": False}[value.lower()]
        if kind in (int, float, bool, str):
            return kind(value)
        return Path(value)
    except (ValueError, TypeError, KeyError):
        wanted = kind.__name__ if isinstance(kind, type) else "a path"
        raise InputError(f"setting {name} is {value!r}, must be {wanted}") from None
