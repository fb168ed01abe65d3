"""A folder of numbered versions of a map: a new one is added before an old one goes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from fusion.saved_map import SavedMap, read_map, remove_unfinished, write_map
from mapcast_client.errors import InputError


class MapVersions:
    """The versions in `folder`: `000001` and so on. One process at a time writes them."""

    def __init__(self, folder: Path, kept: int = 1) -> None:
        """Keep the newest `kept` of those that will be written."""
        self._folder = folder
        self._kept = kept

    @property
    def newest_folder(self) -> Path | None:
        """Where the newest one is, whole or not; None: there is none."""
        numbers = self._numbers()
        return self._path(numbers[-1]) if numbers else None

    def write(self, saved: SavedMap) -> None:
        """Add a version. Raises InputError if it cannot be written; the others stay then."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self._folder} cannot be made: {error}") from None
        remove_unfinished(self._folder)
        numbers = self._numbers()
        write_map(saved, self._path(numbers[-1] + 1 if numbers else 1))
        for number in self._numbers()[: -self._kept]:
            shutil.rmtree(self._path(number), ignore_errors=True)

    def newest(self, broken: list[str]) -> SavedMap | None:
        """The newest that is whole; None: there is none.

        `broken` is told of newer ones that are not, and why.
        """
        return next(self._whole(broken), None)

    def _whole(self, broken: list[str]) -> Iterator[SavedMap]:
        for number in reversed(self._numbers()):
            try:
                yield read_map(self._path(number))
            except InputError as error:
                broken.append(str(error))

    def _numbers(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdecimal())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}"
