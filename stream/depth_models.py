"""The depth networks that the server was given: a folder of NAME.toml."""

from pathlib import Path

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2

_NEEDS_MODEL = (
    ingest_pb2.DepthSettings.SOURCE_NETWORK,
    ingest_pb2.DepthSettings.SOURCE_FUSED,
)


class DepthModels:
    """Finds networks by name; clients never name files."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """The networks there are."""
        return sorted(self._files())

    def resolve(self, settings: ingest_pb2.DepthSettings) -> ingest_pb2.DepthSettings:
        """The settings for the worker: `model` is the absolute path of the network's TOML.

        Raises InputError for a name that is not there, and for a source that needs one.
        """
        if settings.source not in ingest_pb2.DepthSettings.Source.values():
            raise InputError(
                f"depth source is {settings.source}, must be one of "
                f"{ingest_pb2.DepthSettings.Source.keys()}"
            )
        files = self._files()
        known = ", ".join(sorted(files)) or "none (the server's setting depth_models)"
        if settings.model and settings.model not in files:
            raise InputError(f"there is no depth model {settings.model!r:.80}; there are: {known}")
        if settings.source in _NEEDS_MODEL and not settings.model:
            raise InputError(f"depth from a network needs a model; there are: {known}")
        path = str(files[settings.model].resolve()) if settings.model else ""
        return ingest_pb2.DepthSettings(source=settings.source, model=path)

    def _files(self) -> dict[str, Path]:
        if self._folder is None:
            return {}
        return {path.stem: path for path in self._folder.glob("*.toml")}
