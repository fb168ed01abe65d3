"""Frames in over gRPC: one stream is one sender."""

import asyncio
import logging
from collections.abc import AsyncIterator

import grpc

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2, ingest_pb2_grpc
from mapcast_client.v1.ingest_pb2 import ClientMessage, Control, ServerMessage
from stream.errors import ServerError, wire_error
from stream.registry import Registry
from stream.sender import Sender
from stream.session import Session

logger = logging.getLogger(__name__)


class IngestService(ingest_pb2_grpc.IngestServicer):
    """Reads a sender's messages and writes what its session answers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def Stream(
        self,
        requests: AsyncIterator[ClientMessage],
        context: grpc.aio.ServicerContext[ClientMessage, ServerMessage],
    ) -> AsyncIterator[ServerMessage]:
        """Serve one sender until it finishes, vanishes or breaks the contract."""
        sender = Sender()
        reading = asyncio.create_task(self._read(requests, sender))
        try:
            while (message := await sender.next_message()) is not None:
                yield message
                if message.HasField("finished") or message.error.fatal:
                    return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[ClientMessage], sender: Sender) -> None:
        session = None
        try:
            async for message in requests:
                await sender.room()
                if session is None:
                    session = await self._open(message, sender)
                else:
                    await self._handle(session, sender, message)
        except MapcastError as error:
            sender.tell(wire_error(error, fatal=True))
        except Exception as error:  # a bug; its sender must not wait for ever
            logger.exception("a sender's stream broke")
            sender.tell(wire_error(ServerError(f"internal error: {error!r}"), fatal=True))
        finally:
            if session is not None:
                session.detach(sender)
            sender.close()

    async def _open(self, message: ClientMessage, sender: Sender) -> Session:
        if not message.HasField("open"):
            kind = message.WhichOneof("message") or "unknown"
            raise InputError(f"the first message must be `open`, it is `{kind}`")
        session = await self._registry.open(message.open)
        session.attach(sender)
        opened = ingest_pb2.Opened(
            session=session.id,
            window=self._registry.config.window_frames,
            epoch=session.hub.epoch,
            viewer_path=f"/?session={session.id}",
        )
        sender.tell(ServerMessage(opened=opened))
        return session

    async def _handle(self, session: Session, sender: Sender, message: ClientMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "frame":
            await session.submit(sender, message.frame)
        elif kind == "control":
            await self._control(session, sender, message.control.action)
        elif kind == "open":
            _refuse(sender, ingest_pb2.Error.CODE_INVALID_ARGUMENT, "the session is open already")
        else:
            _refuse(
                sender,
                ingest_pb2.Error.CODE_UNKNOWN_MESSAGE,
                "a message of a kind that this server does not know was ignored",
            )

    async def _control(self, session: Session, sender: Sender, action: int) -> None:
        if action == Control.ACTION_PAUSE:
            session.pause()
        elif action == Control.ACTION_RESUME:
            session.resume()
        elif action == Control.ACTION_RESET:
            await session.reset()
        elif action == Control.ACTION_FINISH:
            sender.tell(ServerMessage(finished=await session.finish()))
        else:
            _refuse(
                sender,
                ingest_pb2.Error.CODE_UNKNOWN_MESSAGE,
                f"control action {action} is not known to this server",
            )


def _refuse(sender: Sender, code: ingest_pb2.Error.Code, message: str) -> None:
    sender.tell(ServerMessage(error=ingest_pb2.Error(code=code, message=message)))
