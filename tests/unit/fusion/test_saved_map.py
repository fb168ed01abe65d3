from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusion.mesh import Mesher
from fusion.monocular import Scale
from fusion.placed_views import FusedViews
from fusion.saved_map import SavedMap, read_map, remove_unfinished, write_map
from fusion.volume import Volume
from mapcast_client.errors import InputError


@pytest.fixture
def volume(settings, camera, views):
    volume = Volume(settings, camera)
    for frame, pose in views:
        volume.integrate(frame, pose)
    return volume


@pytest.fixture
def saved(volume, camera, views):
    return SavedMap(
        volume.settings,
        camera,
        Scale("sensor"),
        newest_index=len(views) - 1,
        newest_ns=views[-1][0].capture_ns,
        blocks=volume.block_coords,
        words=volume.voxel_words(),
        refused_keys=volume.refused_keys(),
        views=FusedViews(
            np.array([frame.capture_ns for frame, _ in views]),
            np.array([pose for _, pose in views]),
            np.ones(len(views)),
        ),
        graph={"times_ns": np.arange(3), "poses": np.zeros((0, 4, 4))},
        recording="recordings/abc",
    )


def test_filtered_and_unfiltered_maps_do_not_go_on_with_each_other(saved, camera):
    saved.require_fits(camera, saved.settings)

    with pytest.raises(InputError, match="depth_filter=True"):
        saved.require_fits(camera, replace(saved.settings, depth_filter=True))


def content_hashes(rows):
    return {row.block: row.content_hash() for row in rows.split()}


def restored(saved):
    volume = Volume(saved.settings, saved.camera)
    volume.restore(saved.blocks, saved.words, saved.refused_keys)
    return volume


def test_a_map_comes_back_bit_for_bit(saved, tmp_path):
    write_map(saved, tmp_path / "map")
    back = read_map(tmp_path / "map")
    for name in (
        "settings",
        "camera",
        "scale",
        "newest_index",
        "newest_ns",
        "epoch",
        "recording",
    ):
        assert getattr(back, name) == getattr(saved, name)
    for ours, theirs in (
        (back.blocks, saved.blocks),
        (back.words, saved.words),
        (back.views.world_from_camera, saved.views.world_from_camera),
        (back.graph["times_ns"], saved.graph["times_ns"]),
        (back.graph["poses"], saved.graph["poses"]),
    ):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_a_restored_volume_meshes_whole_and_goes_on_as_the_other(saved, volume, views):
    again = restored(saved)
    np.testing.assert_array_equal(again.voxel_words(), volume.voxel_words())
    mesher = Mesher(again)
    mesher.mark_all()
    fresh = Mesher(volume)
    fresh.mark_all()
    assert content_hashes(mesher.flush()) == content_hashes(fresh.flush()) != {}

    for frame, pose in views:  # out again: what was restored is what was fused
        again.remove(frame, pose)
    assert not again.voxel_words().any()
    again.integrate(*views[0])  # and its blocks are found, none of them twice
    assert again.block_count == volume.block_count


def test_a_full_volume_is_not_overfilled(saved, camera):
    volume = Volume(replace(saved.settings, max_blocks=10), camera)
    with pytest.raises(InputError, match="max_blocks"):
        volume.restore(saved.blocks, saved.words, saved.refused_keys)
    assert volume.block_count == 0


def test_a_block_may_not_be_there_twice(saved, camera):
    volume = Volume(saved.settings, camera)
    twice = saved.blocks.copy()
    twice[1] = twice[0]
    with pytest.raises(InputError, match="twice"):
        volume.restore(twice, saved.words, saved.refused_keys)
    assert volume.block_count == 0


def files_of(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_every_damage_is_named(saved, tmp_path):
    write_map(saved, tmp_path / "map")
    for name in files_of(tmp_path / "map"):
        file = tmp_path / "map" / name
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 0x10
        for damaged in (whole[:-1], whole[: len(whole) // 2], b"", bytes(flipped), whole + b" x"):
            file.write_bytes(damaged)
            with pytest.raises(InputError, match=name):
                read_map(tmp_path / "map")
        file.unlink()
        with pytest.raises(InputError, match=name):
            read_map(tmp_path / "map")
        file.write_bytes(whole)
    assert read_map(tmp_path / "map").recording == saved.recording


def test_a_map_is_not_written_over(saved, tmp_path):
    write_map(saved, tmp_path / "map")
    with pytest.raises(InputError, match="cannot be written"):
        write_map(saved, tmp_path / "map")
    assert files_of(tmp_path) == ["map"]


def test_what_a_killed_writer_left_is_removed(saved, tmp_path):
    write_map(saved, tmp_path / "map")
    (tmp_path / "map.writing-0123").mkdir()
    remove_unfinished(tmp_path)
    assert files_of(tmp_path) == ["map"]


def test_blocks_that_were_refused_stay_out(settings, camera, views, tmp_path):
    small = replace(settings, max_blocks=100)
    volume = Volume(small, camera)
    for frame, pose in views:
        volume.integrate(frame, pose)
    assert volume.is_full
    saved = SavedMap(
        small,
        camera,
        Scale("sensor"),
        newest_index=0,
        newest_ns=0,
        blocks=volume.block_coords,
        words=volume.voxel_words(),
        refused_keys=volume.refused_keys(),
        views=FusedViews.none(),
    )
    write_map(saved, tmp_path / "map")
    again = restored(read_map(tmp_path / "map"))
    assert again.is_full
    for frame, pose in views:
        again.remove(frame, pose)
    assert not again.voxel_words().any()
    again.release(again.empty_blocks())
    again.integrate(*views[-1])  # there is room now, and yet
    volume = Volume(settings, camera)
    volume.integrate(*views[-1])
    assert 0 < again.block_count < volume.block_count
