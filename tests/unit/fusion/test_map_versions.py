import numpy as np
import pytest

from fusion.map_versions import MapVersions
from fusion.monocular import Scale
from fusion.placed_views import FusedViews
from fusion.saved_map import SavedMap
from mapcast_client.errors import InputError


@pytest.fixture
def saved(settings, camera):
    def make(newest_ns):
        blocks = np.array([[1, 2, 3]], np.int32)
        words = np.full((4, 1, 512), newest_ns, np.uint32)
        scale = Scale("sensor")
        no_keys = np.empty(0, np.int64)
        volume = (blocks, words, no_keys, FusedViews.none())
        return SavedMap(settings, camera, scale, 0, newest_ns, *volume)

    return make


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_is_read_and_old_ones_go(saved, tmp_path):
    versions = MapVersions(tmp_path / "maps", kept=2)
    assert versions.newest([]) is None
    assert versions.newest_folder is None
    for newest_ns in (1, 2, 3):
        versions.write(saved(newest_ns))
    assert names(tmp_path / "maps") == ["000002", "000003"]
    newest = versions.newest([])
    assert newest is not None
    assert newest.newest_ns == 3


@pytest.mark.parametrize("name", ["map.json", "blocks.zst", "views.zst", "graph.zst"])
def test_a_broken_one_gives_way_to_the_one_before_and_is_named(saved, tmp_path, name):
    versions = MapVersions(tmp_path, kept=2)
    versions.write(saved(1))
    versions.write(saved(2))
    file = tmp_path / "000002" / name
    file.write_bytes(file.read_bytes()[:-3])
    broken: list[str] = []
    newest = versions.newest(broken)
    assert newest is not None
    assert newest.newest_ns == 1
    assert len(broken) == 1
    assert name in broken[0]
    (tmp_path / "000001" / name).unlink()
    broken.clear()
    assert versions.newest(broken) is None
    assert len(broken) == 2


def test_what_cannot_be_written_leaves_the_others(saved, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        MapVersions(tmp_path / "file" / "maps").write(saved(1))
