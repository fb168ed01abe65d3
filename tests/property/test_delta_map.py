"""A map that gets the difference between two states is the second one."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mapcast_client.delta import DeltaHead, MeshDelta, decode, encode_mesh
from mapcast_client.map import Map
from mapcast_client.rows import MeshRow

State = dict[tuple[int, int, int], MeshRow]
MASK = 2**64 - 1

blocks = st.tuples(*[st.integers(-2, 2)] * 3)
payloads = st.binary(min_size=9, max_size=9)


@st.composite
def states(draw: st.DrawFn) -> State:
    return {
        block: MeshRow(block, draw(payloads), draw(payloads), b"\0\0\1\0\2\0")
        for block in draw(st.sets(blocks, max_size=8))
    }


def hash_of(state: State) -> int:
    return sum(row.content_hash() for row in state.values()) & MASK


def difference(before: State, after: State) -> list[MeshRow]:
    removed = [MeshRow(block, b"", b"", b"") for block in before.keys() - after.keys()]
    return removed + [row for block, row in after.items() if before.get(block) != row]


def message(rows: list[MeshRow], revision: int, state: State, epoch: int = 1) -> MeshDelta:
    head = DeltaHead("s", epoch, revision, revision, 0.01, hash_of(state))
    decoded = decode(encode_mesh(rows, [revision] * len(rows), head, "none"))
    assert isinstance(decoded, MeshDelta)
    return decoded


def content(followed: Map) -> State:
    return {row.block: row for row in followed.rows()}


@given(st.lists(states(), min_size=1, max_size=5))
def test_applied_differences_give_the_last_state(history: list[State]) -> None:
    followed, before = Map(), State()
    for revision, after in enumerate(history, 1):
        followed.apply(message(difference(before, after), revision, after))
        assert content(followed) == after
        assert followed.map_hash == hash_of(after)
        assert followed.is_exact
        before = after


@given(states(), states(), st.randoms(use_true_random=False))
def test_hash_does_not_depend_on_order_or_history(
    before: State, after: State, random: Random
) -> None:
    rows = difference(before, after)
    random.shuffle(rows)
    detour = Map()
    detour.apply(message(list(before.values()), 1, before))
    detour.apply(message(rows, 2, after))
    direct = Map()
    direct.apply(message(list(after.values())[::-1], 2, after))
    assert detour.map_hash == direct.map_hash == hash_of(after)


@given(states(), st.integers(1, 4))
def test_repeated_rows_change_nothing(state: State, times: int) -> None:
    followed = Map()
    for _ in range(times):
        followed.apply(message(list(state.values()), 1, state))
    assert content(followed) == state


@given(states(), states())
def test_a_new_epoch_drops_the_old_map(before: State, after: State) -> None:
    followed = Map()
    followed.apply(message(list(before.values()), 9, before, epoch=1))
    followed.apply(message(list(after.values()), 1, after, epoch=2))
    assert content(followed) == after
    assert followed.epoch == 2
    assert followed.revision == 1
