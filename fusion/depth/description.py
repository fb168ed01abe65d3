"""What a depth network is: where its weights are, what it takes and what it gives."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from fusion.depth.description_file import Table, read_toml
from mapcast_client.errors import InputError

PRESETS = Path(__file__).parent / "models"
"""Descriptions of well-known networks, without their weights."""

_LARGEST_SIDE_PX = 4096


class Kind(StrEnum):
    """What runs a network."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    TORCH_HUB = "torch_hub"


class Quantity(StrEnum):
    """What a network's output says about depth."""

    METRIC = "metric"
    """Metres."""
    RELATIVE = "relative"
    """Depth up to scale and shift."""
    INVERSE = "inverse"
    """1 / depth up to scale and shift, as MiDaS gives."""


class Layout(StrEnum):
    """The order of the input's axes."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Resize(StrEnum):
    """How a picture is brought to the input's size."""

    STRETCH = "stretch"
    """To exactly that size."""
    KEEP_ASPECT = "keep_aspect"
    """To fit into it: see NetworkInput.multiple_of_px."""


class HubSource(StrEnum):
    """Where torch.hub finds a repository."""

    GITHUB = "github"
    LOCAL = "local"


Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """The tensor that a network takes: (RGB · scale − mean) / std, RGB in 0 to 255."""

    width_px: int
    height_px: int
    name: str = ""
    """Of the tensor in ONNX; empty: the first."""
    layout: Layout = Layout.NCHW
    resize: Resize = Resize.STRETCH
    multiple_of_px: int = 0
    """With `keep_aspect`, for networks that take any size: what the sides must be multiples of.
    0: the size is fixed, the picture is padded."""
    scale: float = 1 / 255
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Weights:
    """What was learned, and what runs it."""

    kind: Kind
    file: Path = Path()
    """For `onnx` and `torchscript`."""
    repo: str = ""
    """For `torch_hub`: owner/name[:branch], or a checkout's folder."""
    model: str = ""
    """For `torch_hub`: the entry point's name."""
    source: HubSource = HubSource.GITHUB

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """ONNX or TorchScript, by the file's suffix."""
        return cls(Kind.ONNX if file.suffix == ".onnx" else Kind.TORCHSCRIPT, file)


@dataclass(frozen=True, slots=True)
class NetworkDescription:
    """A depth network. See docs/depth.md for the TOML form."""

    name: str
    """For people: the TOML's stem."""
    weights: Weights
    input: NetworkInput
    quantity: Quantity
    output_name: str = ""
    """Of the tensor in ONNX, or of the entry where a torch model returns a dict.

    Empty: the first."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML. Raises InputError that names the file, the key, its value and what may be.

        Weights need not be there yet: running the network says so.
        """
        table = Table(read_toml(path), str(path))
        weights, network_input = _weights(table, path.parent), _input(table.table("input"))
        output = table.table("output")
        quantity, output_name = output.choice("quantity", Quantity), output.text("name", "")
        output.require_no_more()
        table.require_no_more()
        return cls(path.stem, weights, network_input, quantity, output_name)

    @classmethod
    def find(cls, model: Path | str) -> Self:
        """The description of what a user names: a TOML, a weights file or a preset.

        Weights `X.onnx`, `X.pt` are described by `X.toml` beside them, else by the preset X.
        Raises InputError.
        """
        path = Path(model)
        if path.suffix == ".toml":
            return cls.load(path)
        beside, preset = path.with_suffix(".toml"), PRESETS / f"{path.stem}.toml"
        if path.suffix and beside.exists():
            return replace(cls.load(beside), weights=Weights.of_file(path))
        if path.suffix and preset.exists():
            return replace(cls.load(preset), weights=Weights.of_file(path))
        if not path.suffix and preset.exists() and path.parent == Path():
            return cls.load(preset)
        raise InputError(
            f"depth network {path}: must be a TOML file, a weights file with one beside it, or "
            f"one of {', '.join(preset_names())}"
        )


def preset_names() -> list[str]:
    """The networks that come described."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def _weights(table: Table, folder: Path) -> Weights:
    kind = table.choice("kind", Kind)
    if kind is not Kind.TORCH_HUB:
        return Weights(kind, folder / table.text("file"))
    source = table.choice("source", HubSource, HubSource.GITHUB)
    repo, model = table.text("repo"), table.text("model")
    if source is HubSource.LOCAL:
        repo = str(folder / repo)
    return Weights(kind, repo=repo, model=model, source=source)


def _input(table: Table) -> NetworkInput:
    found = NetworkInput(
        width_px=table.integer("width_px", 1, _LARGEST_SIDE_PX),
        height_px=table.integer("height_px", 1, _LARGEST_SIDE_PX),
        name=table.text("name", ""),
        layout=table.choice("layout", Layout, Layout.NCHW),
        resize=table.choice("resize", Resize, Resize.STRETCH),
        multiple_of_px=table.integer("multiple_of_px", 0, _LARGEST_SIDE_PX, 0),
        scale=table.positive("scale", 1 / 255),
        mean=table.channels("mean", (0.0, 0.0, 0.0)),
        std=table.channels("std", (1.0, 1.0, 1.0), positive=True),
    )
    table.require_no_more()
    return found
