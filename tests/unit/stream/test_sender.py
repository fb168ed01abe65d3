"""A sender that does not read its results is not read either."""

import asyncio

import pytest

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import Corrections
from stream.sender import OUTBOX_MESSAGES, Sender


async def test_no_room_from_half_full_until_the_sender_reads() -> None:
    sender = Sender()
    for _ in range(OUTBOX_MESSAGES // 2):
        await sender.room()
        sender.tell(ingest_pb2.ServerMessage())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sender.room()
    await sender.next_message()
    await sender.room()


def corrections(keyframe_ns: int, x_m: float, *frames_ns: int, epoch: int = 1) -> Corrections:
    pose = ingest_pb2.Pose(tx=x_m, qw=1)
    return Corrections(
        epoch=epoch,
        keyframes=[ingest_pb2.KeyframePose(capture_ns=keyframe_ns, world_from_keyframe=pose)],
        frames=[ingest_pb2.FrameHang(capture_ns=at, keyframe_ns=keyframe_ns) for at in frames_ns],
    )


def result(capture_ns: int) -> ingest_pb2.FrameResult:
    return ingest_pb2.FrameResult(capture_ns=capture_ns)


async def told(sender: Sender) -> list[ingest_pb2.ServerMessage]:
    """All that waits, up to the message of an error."""
    sender.tell(ingest_pb2.ServerMessage(error=ingest_pb2.Error(message="that is all")))
    messages = []
    while (message := await sender.next_message()) is not None and not message.HasField("error"):
        messages.append(message)
    return messages


async def test_corrections_that_wait_are_two_messages_however_many_come() -> None:
    sender = Sender()
    for count in range(1000):
        sender.correct(corrections(count % 5, count, count % 7))
    first, rest = await told(sender)
    assert first.corrections == corrections(0, 0, 0)
    assert len(rest.corrections.keyframes) == 5
    assert len(rest.corrections.frames) == 7
    newest = {row.capture_ns: row.world_from_keyframe.tx for row in rest.corrections.keyframes}
    assert newest == {0: 995, 1: 996, 2: 997, 3: 998, 4: 999}


async def test_a_correction_never_comes_before_the_result_that_it_corrects() -> None:
    sender = Sender()
    sender.correct(corrections(10, 1))
    sender.answer(result(50))
    sender.correct(corrections(20, 2, 50))
    kinds = [message.WhichOneof("message") for message in await told(sender)]
    assert kinds == ["corrections", "result", "corrections"]


async def test_corrections_of_an_epoch_that_is_over_are_not_told() -> None:
    sender = Sender()
    for epoch in (1, 1, 2):
        sender.correct(corrections(10 * epoch, 1, epoch=epoch))
    first, second = await told(sender)
    assert [message.corrections.epoch for message in (first, second)] == [1, 2]
    assert [row.capture_ns for row in second.corrections.keyframes] == [20]


async def test_the_last_corrections_come_before_the_end() -> None:
    sender = Sender()
    sender.correct(corrections(10, 1))
    sender.correct(corrections(10, 2))
    sender.close()
    messages = []
    while (message := await sender.next_message()) is not None:
        messages.append(message.corrections.keyframes[0].world_from_keyframe.tx)
    assert messages == [1, 2]
