"""What the messages of `/ws/stream` mean."""

import json

import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import Control
from stream.stream_json import Hello, ImageReader, progress_words

JPEG = b"\xff\xd8\xff\xe0rest"
PNG = b"\x89PNG\r\n\x1a\nrest"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "


def frame(reader: ImageReader, data: bytes, now_ns: int = 1) -> ingest_pb2.Frame:
    message = reader.read(None, data, now_ns)
    assert message is not None
    return message.frame


def test_images_are_counted_dated_by_their_arrival_and_known_by_their_bytes() -> None:
    reader = ImageReader()
    frames = [frame(reader, data, now_ns) for data, now_ns in ((JPEG, 5), (PNG, 9), (WEBP, 9))]
    assert [(f.index, f.capture_ns) for f in frames] == [(0, 5), (1, 9), (2, 10)]
    assert [f.color.encoding for f in frames] == [
        ingest_pb2.IMAGE_ENCODING_JPEG,
        ingest_pb2.IMAGE_ENCODING_PNG,
        ingest_pb2.IMAGE_ENCODING_WEBP,
    ]
    assert frames[0].color.data == JPEG


def test_an_announcement_is_of_the_next_image_alone() -> None:
    reader = ImageReader()
    said = json.dumps({"type": "frame", "capture_ns": "1700000000000000001", "index": 40})
    assert reader.read(said, None, 1) is None
    announced = frame(reader, JPEG)
    assert (announced.index, announced.capture_ns) == (40, 1_700_000_000_000_000_001)
    assert frame(reader, JPEG, now_ns=1_800_000_000_000_000_000).index == 41


def test_an_announcement_goes_with_its_image_when_that_is_refused() -> None:
    reader = ImageReader()
    assert reader.read(json.dumps({"type": "frame", "capture_ns": 7, "index": 40}), None, 1) is None
    with pytest.raises(InputError):
        reader.read(None, b"GIF89a", 2)
    image = frame(reader, JPEG, now_ns=3)
    assert (image.index, image.capture_ns) == (0, 3)


@pytest.mark.parametrize(
    ("text", "data", "action"),
    [
        ('{"type": "pause"}', None, Control.ACTION_PAUSE),
        ('{"type": "resume"}', None, Control.ACTION_RESUME),
        ('{"type": "reset"}', None, Control.ACTION_RESET),
        ('{"type": "finish"}', None, Control.ACTION_FINISH),
        (None, b"", Control.ACTION_FINISH),
    ],
)
def test_controls(text: str | None, data: bytes | None, action: Control.Action) -> None:
    message = ImageReader().read(text, data, 1)
    assert message is not None
    assert message.control.action == action


@pytest.mark.parametrize(
    ("text", "data", "words"),
    [
        ("no json", None, "not JSON"),
        ("[" * 100_000, None, "limit"),
        ("[" * 20_000, None, "not JSON"),
        ("3", None, "no JSON object"),
        ('{"type": "dance"}', None, "type"),
        ('{"type": "frame", "capture_ns": -1}', None, "capture_ns"),
        ('{"type": "frame", "index": 1e30}', None, "index"),
        (None, b"GIF89a", "47 49 46"),
        (None, b"\xff", "1 bytes is no JPEG"),
    ],
)
def test_what_means_nothing_is_said_so(text: str | None, data: bytes | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ImageReader().read(text, data, 1)


def test_a_hello_joins_or_opens() -> None:
    joining = Hello.read('{"type": "hello", "session": "abc", "token": "t"}')
    assert joining.to_message().session == "abc"
    assert joining.token == "t"
    assert Hello.read("{}").to_message().session == ""
    for text in (None, "{", "[]", '{"type": "frame"}', '{"voxels": 1}'):
        with pytest.raises(InputError):
            Hello.read(text)


def test_progress_has_a_pose_only_where_there_is_one() -> None:
    result = ingest_pb2.FrameResult(index=3, status=ingest_pb2.FrameResult.STATUS_NOT_FUSED)
    assert progress_words(result)["pose"] is None
    result.status = ingest_pb2.FrameResult.STATUS_FUSED
    result.tracking = ingest_pb2.TRACKING_STATE_TRACKING
    result.world_from_camera.qw = 1
    words = progress_words(result)
    assert (words["status"], words["tracking"]) == ("fused", "tracking")
    assert words["pose"] == [0, 0, 0, 0, 0, 0, 1]
    json.dumps(words)
