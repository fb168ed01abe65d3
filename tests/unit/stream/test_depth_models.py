"""Depth networks by name."""

from pathlib import Path

import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1.ingest_pb2 import DepthSettings
from stream.depth_models import DepthModels


@pytest.fixture
def models(tmp_path: Path) -> DepthModels:
    """A folder with two networks, and a secret beside it."""
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.toml").touch()
    for name in ("small.toml", "large.toml", "large.onnx"):
        (folder / name).touch()
    return DepthModels(folder)


def test_names_become_absolute_paths(models: DepthModels, tmp_path: Path) -> None:
    assert models.names() == ["large", "small"]
    resolved = models.resolve(DepthSettings(source=DepthSettings.SOURCE_NETWORK, model="small"))
    assert resolved.model == str(tmp_path / "models" / "small.toml")
    assert resolved.source == DepthSettings.SOURCE_NETWORK
    assert models.resolve(DepthSettings()) == DepthSettings()


@pytest.mark.parametrize("name", ["huge", "../secret", "/etc/passwd", "large.onnx", "."])
def test_what_is_no_name_of_one_is_refused(models: DepthModels, name: str) -> None:
    with pytest.raises(InputError, match="large, small"):
        models.resolve(DepthSettings(model=name))


def test_a_network_must_be_named(models: DepthModels) -> None:
    for source in (DepthSettings.SOURCE_NETWORK, DepthSettings.SOURCE_FUSED):
        with pytest.raises(InputError, match="needs a model"):
            models.resolve(DepthSettings(source=source))
    with pytest.raises(InputError, match="depth source is 9"):
        models.resolve(DepthSettings(source=9))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="none"):
        DepthModels(None).resolve(DepthSettings(model="small"))
