"""The server's end of a worker: start it, talk to it, notice its death."""

import asyncio
import logging
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from gpu.backend import BackendError
from gpu.discovery import CPU, described
from mapcast_client.errors import InputError, ProtocolError
from stream import ipc
from stream.errors import WorkerDied
from stream.worker_pb2 import FromWorker, Open, Opened, ToWorker

logger = logging.getLogger(__name__)

WORKER_MODULE = "stream.worker_main"
"""What a worker runs; benches and tests may have others."""
START_TIMEOUT_S = 120.0
"""Covers compiling the kernels on a machine's very first start."""
KEPT_LOG_LINES = 20
LOG_CHUNK_BYTES = 1 << 14
PIPE_BYTES = 4 << 20
"""What fits between the processes: a usual mesh update, so that neither waits for the other."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What all workers of a server have."""

    vocabulary: Path
    backend: str
    """Where volumes are: a choice as `gpu.discovery` takes it."""
    device_memory_share: float

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a worker's command line says of it."""
        return str(self.vocabulary), self.backend, str(self.device_memory_share)

    @property
    def doubt(self) -> str:
        """What else may be wrong with a worker that does not start; it begins with a semicolon."""
        if self.backend == CPU:
            return ""
        return (
            "; a device's driver may be why: --backend cpu does without, "
            "`mapcast doctor` looks at each"
        )


class WorkerHung(WorkerDied):
    """A worker that did not get ready in time."""


class WorkerProcess:
    """A child process and the pipe to it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._log: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        self._failure = ""
        self.device = ""
        """Where its volumes are, once it is ready."""
        self.credits = 0
        """Frames that it takes at once, since it was opened."""
        self.is_restoring = False
        """Whether it was opened to bring back what was there before, and is at it."""
        self._logging = asyncio.create_task(self._keep_log())

    @classmethod
    async def start(cls, equipment: Equipment) -> "WorkerProcess":
        """Spawn a worker and wait until it is warm.

        Raises WorkerDied, BackendError if what it is to fuse on is not there.
        """
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_BYTES)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", WORKER_MODULE, str(theirs.fileno())),
                *equipment.arguments,
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=PIPE_BYTES)
        worker = cls(process, reader, writer)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answer = await worker._expect("ready", "refused")
            if answer.HasField("refused"):
                raise BackendError(answer.refused.reason)
            worker.device = answer.ready.device
        except TimeoutError:
            await worker.kill()
            reason = f"worker was not ready within {START_TIMEOUT_S:.0f} s"
            raise WorkerHung(reason + equipment.doubt) from None
        except WorkerDied as death:
            await worker.kill()
            raise WorkerDied(f"{death}{equipment.doubt}") from None
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def is_alive(self) -> bool:
        """Whether the child runs."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def send(self, message: ToWorker) -> None:
        """Hand over a message. Raises WorkerDied."""
        try:
            self._writer.write(ipc.pack(message))
            await self._writer.drain()
        except (ConnectionError, RuntimeError):
            raise WorkerDied(await self._obituary()) from None

    async def open(self, request: Open) -> Opened:
        """Begin the session.

        Raises InputError for settings that do not do, after which the worker can be asked again,
        and WorkerDied.
        """
        await self.send(ToWorker(open=request))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answer = await self._expect("opened", "refused")
        except TimeoutError:
            raise WorkerDied(f"worker did not open within {START_TIMEOUT_S:.0f} s") from None
        if answer.HasField("refused"):
            raise InputError(answer.refused.reason)
        self.credits = answer.opened.credits
        self.is_restoring = request.restore or bool(request.saved_map)
        return answer.opened

    async def _expect(self, *kinds: str) -> FromWorker:
        async for message in self.messages():
            kind = message.WhichOneof("message")
            if kind not in kinds:
                raise ProtocolError(f"worker sent {kind}, not {' or '.join(kinds)}")
            return message
        raise AssertionError("messages() ends only by raising")

    async def messages(self) -> AsyncIterator[FromWorker]:
        """What the worker says, until it dies. Raises WorkerDied, with the reason."""
        try:
            while True:
                message = await ipc.receive(self._reader)
                if message.HasField("failure"):
                    self._failure = message.failure.reason
                    continue
                yield message
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerDied(await self._obituary()) from None

    async def _obituary(self) -> str:
        try:
            async with asyncio.timeout(10):
                code = await self._process.wait()
        except TimeoutError:
            return "worker closed its pipe without ending"
        if self._failure:
            return f"worker failed: {self._failure}"
        how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        last = next((line for line in reversed(self._log) if line.strip()), "nothing")
        return f"worker {how}; its last words: {last}"

    async def _keep_log(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.read(LOG_CHUNK_BYTES):
            text = line.decode(errors="replace").rstrip()
            self._log.extend(text.splitlines())
            logger.debug("worker %d: %s", self.pid, text)

    async def close(self) -> None:
        """Let the worker end by itself, or kill it when it does not."""
        self._writer.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
        await self._logging

    async def kill(self) -> None:
        """End the worker at once."""
        self._writer.close()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._logging


class WorkerPool:
    """Starts workers, and keeps one warm so that a session opens at once."""

    def __init__(self, equipment: Equipment, keep_warm: bool) -> None:
        self._equipment = equipment
        self._keep_warm = keep_warm
        self._spare: asyncio.Task[WorkerProcess] | None = None
        self.device = ""
        """Where volumes are; empty until a worker was ready."""

    def warm(self) -> None:
        """Begin to start the spare worker, if one is wanted and there is none."""
        if self._keep_warm and self._spare is None:
            self._spare = asyncio.create_task(self._start())

    async def take(self) -> WorkerProcess:
        """The spare worker if it lives, or a new one. Raises WorkerDied, BackendError."""
        spare, self._spare = self._spare, None
        if spare is not None:
            try:
                worker = await asyncio.shield(spare)
            except asyncio.CancelledError:
                self._spare = self._spare or spare  # whoever asked is gone; the worker is not
                raise
            except WorkerHung:
                raise  # another one would, too
            except (WorkerDied, BackendError) as death:
                logger.warning("the spare worker: %s", death)
            else:
                if worker.is_alive:
                    return worker
                await worker.kill()
        return await self._start()

    async def _start(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._equipment)
        if worker.device != self.device:
            self.device = worker.device
            logger.info("volumes are fused on %s", worker.device)
        if worker.device == described(None):  # the next need not look for others
            self._equipment = replace(self._equipment, backend=CPU)
        return worker

    async def prove(self) -> None:
        """See whether workers can start. Raises WorkerDied, BackendError.

        One is started, however it goes: a driver that hangs would hang again.
        """
        spare, self._spare = self._spare, None
        await self.give_back(await (self._start() if spare is None else spare))

    async def give_back(self, worker: WorkerProcess) -> None:
        """Keep a worker that no session was opened on as the spare one, or end it."""
        if not self._keep_warm or self._spare is not None:
            await worker.close()
            return
        self._spare = asyncio.create_task(_ready(worker))

    async def close(self) -> None:
        """End the spare worker."""
        spare, self._spare = self._spare, None
        if spare is None:
            return
        spare.cancel()
        for worker in await asyncio.gather(spare, return_exceptions=True):
            if isinstance(worker, WorkerProcess):
                await worker.close()


async def _ready(worker: WorkerProcess) -> WorkerProcess:
    return worker
