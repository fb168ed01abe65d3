"""`mapcast eval depth`: depth estimated from colour alone, held against a sensor's."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table

from clients.cli.files import write_json
from clients.cli.options import JsonOption, LimitOption, VocabularyOption
from clients.cli.progress import console
from fusion.depth.opening import DepthKind, open_depth_source
from fusion.depth.source import DepthSource
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.depth_trials import DepthTrials, ScaledTrial
from replay.evaluate_depth import DepthQuality, DepthTrial
from replay.intrinsics import Intrinsics
from replay.opening import open_rgbd_sequence
from replay.registration import Registration
from replay.sequence import RgbdSequence
from slam.camera import Calibration, Camera
from slam.trackers import open_tracker
from slam.vocabulary import default_vocabulary
from stream.config import user_cache

_MEASURED = DepthKind.MOTION_STEREO

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DepthEvaluation:
    """How good each source is."""

    depths: int
    """Frames whose depth was estimated."""
    alone: Mapping[DepthKind, DepthQuality]
    """Wherever the source answers."""
    shared: Mapping[DepthKind, DepthQuality]
    """Where motion stereo and the network both answer."""
    holes: Mapping[DepthKind, DepthQuality]
    """Where motion stereo does not answer."""

    @classmethod
    def of(cls, scaled: list[ScaledTrial], kinds: list[DepthKind]) -> Self:
        """The means over all frames."""

        def mean(kind: DepthKind, where: Callable[[DepthTrial], _Mask | None]) -> DepthQuality:
            return DepthQuality.mean(
                [s.trial.quality(kind, s.metres_per_unit, where(s.trial)) for s in scaled]
            )

        others = [kind for kind in kinds if kind is not _MEASURED]
        return cls(
            len(scaled),
            {kind: mean(kind, lambda trial: None) for kind in kinds},
            {kind: mean(kind, _both_answered) for kind in kinds if others},
            {kind: mean(kind, lambda trial: ~trial.answered(_MEASURED)) for kind in others},
        )

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes; an error over no pixels is null."""
        return {
            "depths": self.depths,
            "alone": {kind.value: _figures(quality) for kind, quality in self.alone.items()},
            "shared": {kind.value: _figures(quality) for kind, quality in self.shared.items()},
            "holes": {kind.value: _figures(quality) for kind, quality in self.holes.items()},
        }


def _both_answered(trial: DepthTrial) -> _Mask:
    return trial.answered(_MEASURED) & trial.answered(DepthKind.NETWORK)


def _figures(quality: DepthQuality) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in asdict(quality).items()}


def evaluate_depth(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A recording with depth, or `rendered`.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="FILE|NAME",
            help="A depth network: its TOML, its weights, or one that comes described. "
            "Without: motion stereo only.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera",
            metavar="FX,FY,CX,CY|FILE",
            help="The colour camera, a pinhole without distortion, in pixels; or a TOML or YAML "
            "file. Without: as recorded.",
        ),
    ] = None,
    limit: LimitOption = None,
    vocabulary: VocabularyOption = None,
    json: JsonOption = None,
) -> None:
    """Estimate depth from a recording's colour; measure it against the recording's depth."""
    sequence = open_rgbd_sequence(path, user_cache())
    registration = Registration.of(sequence)
    if camera is not None:
        registration = replace(registration, color=_pinhole(camera, registration.color))
    kinds = list(DepthKind) if model is not None else [_MEASURED]
    sources: dict[str, DepthSource] = {
        kind: open_depth_source(kind, registration.color, model) for kind in kinds
    }
    scaled = _tried(sequence, registration, sources, vocabulary, limit)
    if not scaled:
        raise InputError(f"{path}: no depth was estimated, the camera was not tracked long enough")
    found = DepthEvaluation.of(scaled, kinds)
    _print(found, sequence.name)
    if json is not None:
        write_json(json, found.to_json())


def _pinhole(text: str, like: Camera) -> Camera:
    size_px = like.width_px, like.height_px
    given = Intrinsics.parse(text).camera(size_px, size_px)
    if any(given.distortion):
        raise InputError(f"--camera {text}: must be a pinhole without distortion here")
    return given


def _tried(
    sequence: RgbdSequence,
    registration: Registration,
    sources: Mapping[str, DepthSource],
    vocabulary: Path | None,
    limit: int | None,
) -> list[ScaledTrial]:
    tracker = open_tracker(
        ingest_pb2.SENSOR_MONO,
        ingest_pb2.POSE_SOURCE_UNSPECIFIED,
        Calibration(registration.color, frame_rate_hz=sequence.frame_rate_hz),
        vocabulary or default_vocabulary(user_cache()),
    )
    try:
        trials = DepthTrials(registration, tracker, sources)
        count = min(len(sequence), limit or len(sequence))
        steps = trials.run(sequence, limit)
        for _ in track(steps, "estimating depth", count, console=console, transient=True):
            pass
    finally:
        tracker.close()
    return trials.scaled()


def _print(found: DepthEvaluation, name: str) -> None:
    table = Table(title=f"{name}: {found.depths} depth images", title_justify="left")
    table.add_column("source", no_wrap=True)
    for heading in ("AbsRel", "RMSE log", "δ < 1.25", "coverage", "both", "holes"):
        table.add_column(heading, justify="right")
    for kind, quality in found.alone.items():
        table.add_row(
            kind.value,
            f"{quality.abs_rel:.3f}",
            f"{quality.rmse_log:.3f}",
            f"{100 * quality.delta1:.1f} %",
            f"{100 * quality.coverage:.1f} %",
            *(
                f"{part[kind].abs_rel:.3f}" if kind in part else ""
                for part in (found.shared, found.holes)
            ),
        )
    console.print(table)
    if found.shared:
        console.print(
            "both, holes: AbsRel where motion stereo answers (and the network), and where not"
        )
