"""Reading a TOML with errors that name the file, the key, the value and what it may be."""

import math
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

from mapcast_client.errors import InputError

_Choice = TypeVar("_Choice", bound=StrEnum)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content. Raises InputError that names the file."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from None


class Table:
    """A TOML table whose keys are taken one by one; what is left over at the end is an error."""

    def __init__(self, values: dict[str, Any], where: str, prefix: str = "") -> None:
        self._values = dict(values)
        self._where = where
        self._prefix = prefix
        self._taken: list[str] = []

    def table(self, key: str) -> Self:
        """A table within this one."""
        value = self._take(key, None)
        if not isinstance(value, dict):
            raise self._unfit(key, value, "a table")
        return type(self)(value, self._where, f"{self._prefix}{key}.")

    def text(self, key: str, default: str | None = None) -> str:
        """A string that is not empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self._unfit(key, value, "a string")
        return value

    def choice(self, key: str, choices: type[_Choice], default: _Choice | None = None) -> _Choice:
        """One of an enumeration's values."""
        value = self._take(key, default)
        if value not in list(choices):
            raise self._unfit(key, value, f"one of {', '.join(choices)}")
        return choices(value)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in [low, high]."""
        value = self._take(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self._unfit(key, value, f"a whole number, {low} to {high}")
        return value

    def positive(self, key: str, default: float) -> float:
        """A finite number greater than zero."""
        value = self._take(key, default)
        if not _is_number(value) or value <= 0:
            raise self._unfit(key, value, "a positive number")
        return float(value)

    def channels(
        self, key: str, default: tuple[float, float, float], *, positive: bool = False
    ) -> tuple[float, float, float]:
        """Three finite numbers, one per colour channel."""
        value = self._take(key, default)
        if (
            not isinstance(value, list | tuple)
            or len(value) != 3
            or not all(_is_number(x) and (x > 0 or not positive) for x in value)
        ):
            raise self._unfit(key, value, f"three {'positive ' if positive else ''}numbers")
        red, green, blue = map(float, value)
        return red, green, blue

    def require_no_more(self) -> None:
        """Raise InputError for a key that nobody took."""
        for key in self._values:
            raise InputError(
                f"{self._where}: unknown key {self._prefix}{key}, "
                f"must be one of {', '.join(self._prefix + name for name in self._taken)}"
            )

    def _take(self, key: str, default: Any) -> Any:
        self._taken.append(key)
        value = self._values.pop(key, default)
        if value is None:
            raise InputError(f"{self._where}: {self._prefix}{key} is missing")
        return value

    def _unfit(self, key: str, value: Any, wanted: str) -> InputError:
        shown = "a table" if isinstance(value, dict) else repr(value)
        return InputError(f"{self._where}: {self._prefix}{key} is {shown}, must be {wanted}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
