"""Maps on disk: one folder with checksums, written whole or not at all.

map.json      version, settings, camera, scale, newest frame, and a record of each file
blocks.zst    the volume's blocks and voxel words
views.zst     which views are in the volume, and where
graph.zst     the pose graph
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.array_file import (
    Arrays,
    FileRecord,
    read_arrays,
    sync_folder,
    write_arrays,
)
from fusion.monocular import Scale
from fusion.placed_views import FusedViews
from fusion.volume import VolumeSettings
from mapcast_client.errors import InputError
from slam.camera import Camera

VERSION = 1
_MANIFEST = "map.json"
_UNFINISHED = ".writing-"


@dataclass(frozen=True, slots=True)
class SavedMap:
    """All of a map that another process needs to go on with it."""

    settings: VolumeSettings
    camera: Camera
    """Of the session's rectified frames."""
    scale: Scale
    newest_index: int
    newest_ns: int
    """The newest frame that the map knows."""
    blocks: NDArray[np.int32]
    """(N, 3) coordinates."""
    words: NDArray[np.uint32]
    """(4, N, 512) as `Volume.voxel_words`."""
    refused_keys: NDArray[np.int64]
    """(R,) as `Volume.refused_keys`."""
    views: FusedViews
    graph: Arrays = field(default_factory=dict)
    """As `PoseGraph.state`."""
    epoch: int = 0
    """In which the session was when it was saved."""
    recording: str = ""
    """The folder that its frames were recorded in; empty: nowhere."""
    opening: str = "{}"
    """The session's settings: an OpenSession in protobuf's JSON."""

    def require_fits(self, camera: Camera, settings: VolumeSettings) -> None:
        """Raise InputError unless a session with this camera and volume can go on with it."""
        for what, ours, theirs in (
            ("camera", self.camera, camera),
            ("volume", self.settings, settings),
        ):
            if ours != theirs:
                raise InputError(f"the saved map's {what} is {ours}, the session's {theirs}")

    def earlier(self, by_ns: int) -> "SavedMap":
        """The same map, all of whose instants lie earlier."""
        graph = {
            name: array - by_ns if name.endswith("capture_ns") else array
            for name, array in self.graph.items()
        }
        views = replace(self.views, capture_ns=self.views.capture_ns - by_ns)
        return replace(self, newest_ns=self.newest_ns - by_ns, views=views, graph=graph)


@dataclass(frozen=True, slots=True)
class MapSummary:
    """What a saved map is, without its voxels."""

    settings: VolumeSettings
    camera: Camera
    scale: Scale
    block_count: int
    view_count: int
    size_bytes: int
    recording: str
    opening: str


def write_map(saved: SavedMap, folder: Path) -> None:
    """Write a map into a new folder, which is there only once all of it is on the disk.

    Raises InputError if the folder exists or cannot be written.
    """
    unfinished = folder.with_name(f"{folder.name}{_UNFINISHED}{secrets.token_hex(4)}")
    try:
        unfinished.mkdir(parents=True)
        _write_files(saved, unfinished)
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read_map(folder: Path) -> SavedMap:
    """Read a map back. Raises InputError that names the file that is missing, short or changed."""
    manifest = _read_manifest(folder / _MANIFEST)
    files: Mapping[str, FileRecord] = manifest["files"]
    arrays = {name: read_arrays(folder / name, record) for name, record in files.items()}
    return SavedMap(
        VolumeSettings(**manifest["settings"]),
        _camera(manifest),
        Scale(**manifest["scale"]),
        manifest["newest_index"],
        manifest["newest_ns"],
        arrays["blocks.zst"]["blocks"],
        arrays["blocks.zst"]["words"],
        arrays["blocks.zst"]["refused_keys"],
        FusedViews(**arrays["views.zst"]),
        arrays["graph.zst"],
        manifest["epoch"],
        manifest["recording"],
        manifest["opening"],
    )


def read_summary(folder: Path) -> MapSummary:
    """What a folder's map is; its voxels are not checked. Raises InputError for no saved map."""
    manifest = _read_manifest(folder / _MANIFEST)
    files: Mapping[str, FileRecord] = manifest["files"]
    return MapSummary(
        VolumeSettings(**manifest["settings"]),
        _camera(manifest),
        Scale(**manifest["scale"]),
        manifest["block_count"],
        manifest["view_count"],
        sum(record["size_bytes"] for record in files.values()),
        manifest["recording"],
        manifest["opening"],
    )


def remove_unfinished(parent: Path) -> None:
    """Remove what writers that were killed left in a folder of maps."""
    for folder in parent.glob(f"*{_UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _write_files(saved: SavedMap, folder: Path) -> None:
    files = {
        "blocks.zst": write_arrays(
            folder / "blocks.zst",
            {"blocks": saved.blocks, "words": saved.words, "refused_keys": saved.refused_keys},
        ),
        "views.zst": write_arrays(
            folder / "views.zst",
            {name: getattr(saved.views, name) for name in FusedViews.__dataclass_fields__},
        ),
        "graph.zst": write_arrays(folder / "graph.zst", saved.graph),
    }
    manifest = {
        "version": VERSION,
        "settings": asdict(saved.settings),
        "camera": asdict(saved.camera),
        "scale": asdict(saved.scale),
        "newest_index": saved.newest_index,
        "newest_ns": saved.newest_ns,
        "block_count": len(saved.blocks),
        "view_count": len(saved.views.capture_ns),
        "epoch": saved.epoch,
        "recording": saved.recording,
        "opening": saved.opening,
        "files": files,
    }
    with (folder / _MANIFEST).open("x") as file:
        json.dump({**manifest, "sha256": _digest(manifest)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        digest = manifest.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: no saved map's ({error!r:.200})") from None
    if digest != _digest(manifest):
        raise InputError(f"{path}: its SHA-256 is another than when it was written")
    if manifest["version"] != VERSION:
        raise InputError(f"{path}: version is {manifest['version']}, must be {VERSION}")
    return manifest


def _camera(manifest: Mapping[str, Any]) -> Camera:
    camera = manifest["camera"]
    return Camera(**{**camera, "distortion": tuple(camera["distortion"])})


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
