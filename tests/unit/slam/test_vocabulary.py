import lzma
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import plane_scene
import pytest

from mapcast_client.errors import DependencyError, InputError
from slam.vocabulary import VocabularyInfo, default_vocabulary, info, train
from slam.vocabulary_file import write_vocabulary
from slam.vocabulary_tree import grow_tree

NODE = " ".join(["0"] * 32)
SOUND = f"2 1 0 0\n0 1 {NODE} 0.5\n0 1 {NODE} 1e-05"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), plane_scene.texture(rng, 240, 320))
    (folder / "readme.txt").write_text("not a photo")
    return folder


def test_training_writes_what_it_says_and_info_reads_it(photos: Path, tmp_path: Path) -> None:
    fractions: list[float] = []
    trained = train(photos, tmp_path / "voc.txt", 4, 5, progress=fractions.append)
    assert info(tmp_path / "voc.txt") == trained
    assert (trained.branching, trained.depth) == (4, 5)
    assert trained.words <= 4**5
    assert trained.words < trained.nodes <= sum(4**level for level in range(1, 6))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert not (tmp_path / "voc.txt").read_bytes().endswith(b"\n")
    assert os.listdir(tmp_path) == ["voc.txt"]


def test_training_twice_gives_the_same_file(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path / "a.txt", 4, 5)
    train(photos, tmp_path / "b.txt", 4, 5)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()


def test_a_tree_separates_clusters_and_weighs_words_by_rarity(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (3, 32), dtype=np.uint8)
    cluster = np.repeat([0, 1, 2], 40)
    descriptors = centres[cluster]
    descriptors[np.arange(120), rng.integers(0, 32, 120)] ^= 1
    image_numbers = np.where(cluster == 0, np.arange(120) % 4, cluster)
    tree = grow_tree(descriptors, image_numbers, 3, 1, np.random.default_rng(5), lambda _: None)
    order = [tree.descriptors.tolist().index(centre) for centre in centres.tolist()]
    assert tree.is_word.all()
    assert not tree.parents.any()
    np.testing.assert_allclose(tree.weights[order], [0, np.log(4), np.log(4)])
    write_vocabulary(tree, tmp_path / "voc.txt")
    assert info(tmp_path / "voc.txt") == VocabularyInfo(3, 1, 3, 3)


@pytest.mark.parametrize(
    ("branching", "depth", "message"),
    [(1, 6, "branching is 1, must be 2 to 20"), (7, 11, "depth is 11, must be 2 to 10")],
)
def test_training_refuses_shapes_that_cannot_be_loaded(
    photos: Path, tmp_path: Path, branching: int, depth: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(photos, tmp_path / "voc.txt", branching, depth)


def test_training_says_what_is_wrong_with_the_images(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "voc.txt"
    with pytest.raises(InputError, match="is not a folder of images"):
        train(tmp_path / "nowhere", output)
    with pytest.raises(InputError, match="has no images"):
        train(tmp_path, output)
    with pytest.raises(InputError, match="does not exist"):
        train(photos, tmp_path / "nowhere" / "voc.txt")
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((100, 100), np.uint8))
    with pytest.raises(InputError, match=r"none of the 1 images in .* has ORB features"):
        train(tmp_path, output)
    with pytest.raises(InputError, match=r"of \d+ words, \d+ are in every image: .*more images"):
        train(photos, output, 2, 2)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no jpeg")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be read"):
        train(tmp_path, output)
    assert not output.exists()


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_newline_at_the_end_is_accepted(tmp_path: Path, ending: str) -> None:
    (tmp_path / "voc.txt").write_text(SOUND + ending)
    assert info(tmp_path / "voc.txt") == VocabularyInfo(2, 1, 2, 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("2 1 0", 1),
        ("2 1 0 0", 1),
        ("30 1 0 0\n" + SOUND, 1),
        ("2 1 0 9\n" + SOUND, 1),
        ("\x7fELF\x02\x01" * 100, 1),
        (SOUND[:-20], 3),
        (SOUND + "\n\n", 4),
        (f"2 1 0 0\n0 1 {NODE} 0.5\n7 1 {NODE} 0.5", 3),
        (f"2 1 0 0\n-1 1 {NODE} 0.5", 2),
        (f"2 1 0 0\n12345678901 1 {NODE} 0.5", 2),
        (f"2 1 0 0\n0 2 {NODE} 0.5", 2),
        (f"2 1 0 0\n0 1 {NODE} nan", 2),
        (f"2 1 0 0\n0 1 {NODE} 0.5 9", 2),
        (f"2 2 0 0\n0 0 {NODE} 0\n0 1 {NODE} 0.5", 2),
        (f"2 2 0 0\n0 1 {NODE} 0\n1 1 {NODE} 0.5", 2),
    ],
)
def test_a_broken_vocabulary_is_refused_with_the_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "voc.txt").write_text(text)
    with pytest.raises(InputError, match=rf"voc\.txt, line {line}: "):
        info(tmp_path / "voc.txt")


def test_a_missing_vocabulary_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the vocabulary .*voc\.txt: No such file"):
        info(tmp_path / "voc.txt")


def test_the_shipped_vocabulary_is_unpacked_once_by_any_number_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(default_vocabulary, [tmp_path / "cache"] * 4))
    (path,) = paths
    assert os.listdir(tmp_path / "cache") == [path.name]
    unpacked = path.stat().st_mtime_ns
    assert default_vocabulary(tmp_path / "cache").stat().st_mtime_ns == unpacked
    shape = info(path)
    assert (shape.branching, shape.depth) == (7, 6)
    assert shape.words > 100_000
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        assert file.read() != b"\n"


def test_half_of_the_shipped_vocabulary_is_refused(tmp_path: Path) -> None:
    whole = lzma.decompress(
        (Path(train.__code__.co_filename).parent / "data/orb_vocabulary.txt.xz").read_bytes()
    )
    for size in (len(whole) // 2, whole.index(b"\n", len(whole) // 2)):
        (tmp_path / "voc.txt").write_bytes(whole[:size])
        with pytest.raises(InputError, match="line"):
            info(tmp_path / "voc.txt")


def test_a_cache_that_is_no_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DependencyError, match=r"cannot unpack the ORB vocabulary .*writable"):
        default_vocabulary(tmp_path / "cache")
