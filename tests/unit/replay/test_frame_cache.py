from pathlib import Path

import pytest

from mapcast_client.v1 import ingest_pb2
from replay.frame_cache import FrameCache, key_of
from replay.rendered import RenderedSequence, RenderedSettings


def frame(index: int, size_bytes: int = 1000) -> ingest_pb2.Frame:
    # Bytes that do not compress.
    state, data = index + 1, bytearray()
    for _ in range(size_bytes):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        data.append(state >> 56)
    return ingest_pb2.Frame(index=index, capture_ns=7, color=ingest_pb2.Image(data=bytes(data)))


def test_what_was_stored_is_loaded(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, "a")
    assert cache.load(3) is None
    cache.store(3, frame(3))
    assert FrameCache(tmp_path, "a").load(3) == frame(3)
    assert FrameCache(tmp_path, "b").load(3) is None
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["000003.frame"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: str) -> None:
    cache = FrameCache(tmp_path, "a")
    cache.store(0, frame(0))
    path = tmp_path / "a/000000.frame"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes({"cut": bytes(data[:400]), "flip": bytes(data), "empty": b""}[damage])
    assert cache.load(0) is None


def test_it_keeps_its_limit(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, "a", limit_bytes=2500)
    for i in range(5):
        cache.store(i, frame(i))
    assert [cache.load(i) is not None for i in range(5)] == [True, True, False, False, False]
    again = FrameCache(tmp_path, "a", limit_bytes=2500)
    again.store(4, frame(4))
    assert again.load(4) is None


def test_other_sequences_make_room(tmp_path: Path) -> None:
    for key in ("a", "b"):
        FrameCache(tmp_path, key, limit_bytes=2500).store(0, frame(0))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}
    FrameCache(tmp_path, "c", limit_bytes=500)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = FrameCache(tmp_path / "file", "a")
    cache.store(0, frame(0))
    assert cache.load(0) is None


def test_the_key_follows_code_settings_and_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1")
    key = key_of([source], "seed=1")
    assert key_of([source], "seed=2") != key
    source.write_text("x = 2")
    changed = key_of([source], "seed=1")
    assert changed != key
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")
    assert key_of([source], "seed=1") != changed


def test_the_room_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RenderedSettings(frames=40)
    first = list(RenderedSequence(settings, tmp_path).frames(limit=2))
    again = RenderedSequence(settings, tmp_path)
    monkeypatch.setattr(again, "_rendered", None)
    assert list(again.frames(limit=2)) == first
    assert list(RenderedSequence(settings).frames(limit=2)) == first
