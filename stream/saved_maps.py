"""The server's folder of saved maps, by the names that people gave them."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from fusion.map_versions import MapVersions
from fusion.saved_map import MapSummary, read_summary
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from stream.errors import MapNotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class SavedMaps:
    """Finds, lists and deletes them; workers write and read them. Its methods read the disk."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a map is, or would be. Raises InputError for what is no name."""
        if not _NAME.fullmatch(name):
            raise InputError(
                f"map name {name!r:.80} must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a "
                "letter or digit"
            )
        return self.folder / name

    def names(self) -> list[str]:
        """All of them, in the order of the alphabet."""
        if not self.folder.is_dir():
            return []
        return sorted(
            path.name
            for path in self.folder.iterdir()
            if _NAME.fullmatch(path.name) and MapVersions(path).newest_folder is not None
        )

    def summary(self, name: str) -> MapSummary:
        """What a map is. Raises MapNotFound, InputError for one that is broken."""
        newest = MapVersions(self.path(name)).newest_folder
        if newest is None:
            raise MapNotFound(f"there is no saved map {name!r}")
        return read_summary(newest)

    def delete(self, name: str) -> None:
        """Remove a map. Raises MapNotFound."""
        if MapVersions(self.path(name)).newest_folder is None:
            raise MapNotFound(f"there is no saved map {name!r}")
        shutil.rmtree(self.path(name))

    def fill_in(self, request: ingest_pb2.OpenSession) -> None:
        """Put a map's own settings into what is asked of a session that goes on with it.

        Without a sensor the session is as the one that made the map. Raises MapNotFound,
        InputError if other voxels are asked for.
        """
        summary = self.summary(request.map)
        if not request.sensor:
            made_by = json_format.Parse(summary.opening, ingest_pb2.OpenSession())
            for name in ("sensor", "pose_source", "scene_depth_m"):
                setattr(request, name, getattr(made_by, name))
            request.calibration.CopyFrom(made_by.calibration)
            request.depth.CopyFrom(made_by.depth)
        for name in ("voxel_size_m", "truncation_vox", "depth_min_m", "depth_max_m", "max_blocks"):
            wanted, has = getattr(request.fusion, name), getattr(summary.settings, name)
            if wanted and wanted != has:
                raise InputError(
                    f"{name} is {wanted:g}, but map {request.map!r} has {has:g}: leave it out"
                )
            setattr(request.fusion, name, has)
