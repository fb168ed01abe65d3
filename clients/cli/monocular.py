"""What the options for recordings without depth say, and what follows from them."""

from dataclasses import dataclass
from pathlib import Path

from clients.cli.opening import open_for_streaming
from clients.cli.options import Depth
from clients.cli.streaming import DepthOptions
from mapcast_client.errors import InputError
from replay.intrinsics import Intrinsics
from replay.mcap import offered_intrinsics
from replay.sequence import MONO, RGBD, Sequence

OFFERED = "offered"
"""The value of `--camera` for the camera that a recorded session was offered."""


@dataclass(frozen=True, slots=True)
class MonocularOptions:
    """`--mono`, `--depth`, `--model`, `--scene-depth` and `--camera` of one command."""

    mono: bool = False
    depth: Depth = Depth.auto
    model: str | None = None
    scene_depth_m: float = 0.0
    camera: str | None = None

    def open(self, path: str, limit: int | None) -> Sequence:
        """Open a recording. Raises InputError, too for options that it has no use for."""
        sequence = open_for_streaming(path, limit, self.mono, self._intrinsics(path))
        given = {
            "--depth": self.depth is not Depth.auto,
            "--model": self.model is not None,
            "--scene-depth": self.scene_depth_m > 0,
        }
        unused = [name for name, is_given in given.items() if is_given]
        if unused and sequence.sensor == RGBD:
            raise InputError(
                f"{', '.join(unused)}: {sequence.name} has depth; --mono leaves it out"
            )
        return sequence

    def _intrinsics(self, path: str) -> Intrinsics | None:
        if self.camera == OFFERED:
            return offered_intrinsics(Path(path))
        return None if self.camera is None else Intrinsics.parse(self.camera)

    def models_folder(self, server: str | None) -> Path | None:
        """The folder of depth networks for a server to be started here.

        Raises InputError if the model is a file that is not there, or `server` runs already.
        """
        if self.model is None:
            return None
        if not self.model.endswith(".toml"):
            if Path(self.model).is_file():
                raise InputError(f"--model {self.model}: must be the TOML file that describes it")
            return None
        if server is not None:
            raise InputError(
                f"--model {self.model}: a running server does not read it; "
                "with --server give the name of a model that it has"
            )
        path = Path(self.model)
        if not path.is_file():
            raise InputError(f"--model {path}: no such file")
        return path.parent

    def voxel_size(self, sequence: Sequence, given: float | None, default_m: float) -> float | None:
        """What is given, else a default where the map surely has metres.

        None: the server chooses. It alone knows what the depth network that it has gives.
        """
        has_metres = sequence.sensor != MONO or self.scene_depth_m > 0
        return given if given is not None else default_m if has_metres else None

    def session_depth(self) -> DepthOptions:
        """What the session is opened with."""
        model = "" if self.model is None else Path(self.model).name.removesuffix(".toml")
        return DepthOptions(self.depth.wire_name, model, self.scene_depth_m)
