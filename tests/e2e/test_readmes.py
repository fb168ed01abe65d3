"""The Python examples of the READMEs run as they stand, against a real server."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import numpy as np
import pytest

from mapcast_client import AsyncClient
from replay.sequence import Sequence
from slam.images import decode_frame
from stream.server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
FRAMES = 6
BEFORE = """
import numpy as np
images = list(zip(*np.load("images.npz").values()))
"""


@pytest.fixture(scope="module")
def folder(room: Sequence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where images lie as a camera would hand them over: instants, colour, millimetres."""
    frames = [decode_frame(message, room.calibration) for message in room.frames(FRAMES)]
    millimetres = 1000 * room.calibration.depth_scale_m
    path = tmp_path_factory.mktemp("camera") / "images.npz"
    np.savez(
        path,
        capture_ns=[frame.capture_ns for frame in frames],
        color=np.stack([frame.color for frame in frames]),
        depth=np.stack([(frame.depth * millimetres).astype(np.uint16) for frame in frames]),
    )
    return path.parent


@pytest.mark.parametrize(
    ("readme", "examples", "name"),
    [("README.md", 1, "robot"), ("clients/python/README.md", 6, "desk")],
)
async def test_the_examples_run(
    server: RunningServer, client: AsyncClient, folder: Path, readme: str, examples: int, name: str
) -> None:
    found = EXAMPLE.findall((ROOT / readme).read_text())
    assert len(found) == examples
    script = BEFORE + "\nsession_id = session.id\n".join(found)
    script = script.replace("127.0.0.1:8431", server.grpc_address)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", script, cwd=folder, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()
    (session,) = (info for info in await client.sessions() if info.name == name)
    assert (session.state, session.fused) == ("finished", FRAMES)
    assert session.map_hash != 0
