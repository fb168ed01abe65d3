"""One measured figure, beside its peer and its target."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, and what it is held against."""

    figure: str
    value: float
    unit: str
    peer: str = ""
    """Who was measured in the same run; empty: nobody."""
    peer_value: float | None = None
    ratio: float | None = None
    """Of the medians, larger is better for us; None: no peer."""
    target: float | None = None
    """What the value, or the ratio where there is a peer, is to reach."""
    holds: bool | None = None
    """Whether it does; None: a figure without a target."""

    def to_json(self) -> dict[str, Any]:
        """Keys are the fields' names."""
        return asdict(self)
