"""One sender's conversation with its session, whatever carries the messages."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import ClientMessage, Control, ServerMessage
from stream.errors import ServerError, wire_error
from stream.links import viewer_path
from stream.registry import Registry
from stream.sender import Sender
from stream.session import Session

logger = logging.getLogger(__name__)

FIRST_MESSAGE_TIMEOUT_S = 30.0
"""Whoever connects and says nothing may not stay."""


class Ingest:
    """Hands a sender's messages to its session, and gives back what they are answered."""

    def __init__(self, registry: Registry, token: str) -> None:
        """`token` is what the sender brought; the first message shows what it is needed for."""
        self.session: Session | None = None
        """The one that was opened, once it is."""
        self._registry = registry
        self._token = token
        self._sender = Sender()

    async def answers(
        self, messages: AsyncIterator[ClientMessage]
    ) -> AsyncGenerator[ServerMessage]:
        """What the sender is told, until it finishes, vanishes or breaks the contract."""
        reading = asyncio.create_task(self._read(messages))
        try:
            while (message := await self._sender.next_message()) is not None:
                yield message
                if message.HasField("finished") or message.error.fatal:
                    return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def refuse(self, code: ingest_pb2.Error.Code, message: str) -> None:
        """Tell of something that was ignored; the conversation goes on."""
        await self._sender.room()
        error = ingest_pb2.Error(code=code, message=message)
        self._sender.tell(ServerMessage(error=error))

    async def _read(self, messages: AsyncIterator[ClientMessage]) -> None:
        try:
            self.session = await self._open(await _first(messages))
            async for message in messages:
                await self._sender.room()
                await self._handle(self.session, message)
        except StopAsyncIteration:
            pass  # it left without a word
        except MapcastError as error:
            self._sender.tell(wire_error(error, fatal=True))
        except Exception as error:  # a bug; its sender must not wait for ever
            logger.exception("a sender's stream broke")
            self._sender.tell(wire_error(ServerError(f"internal error: {error!r}"), fatal=True))
        finally:
            if self.session is not None:
                self.session.detach(self._sender)
            self._sender.close()

    async def _open(self, message: ClientMessage) -> Session:
        if not message.HasField("open"):
            kind = message.WhichOneof("message") or "unknown"
            raise InputError(f"the first message must be `open`, it is `{kind}`")
        access = self._registry.access
        if message.open.session:
            access.require_publish(message.open.session, self._token)
        else:
            access.require_server(self._token)
        session = await self._registry.open(message.open)
        session.attach(self._sender)
        tokens = access.tokens(session.id)
        opened = ingest_pb2.Opened(
            session=session.id,
            window=self._registry.config.window_frames,
            epoch=session.hub.epoch,
            viewer_path=viewer_path(session.id, tokens),
            publish_token=tokens.publish,
            watch_token=tokens.watch,
        )
        self._sender.tell(ServerMessage(opened=opened))
        if (offer := session.refinements.offer) is not None:  # it re-joins, and may have missed it
            self._sender.tell(ServerMessage(calibration_offer=offer))
        return session

    async def _handle(self, session: Session, message: ClientMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "frame":
            await session.submit(self._sender, message.frame)
        elif kind == "imu":
            await self._submit_imu(session, message.imu)
        elif kind == "control":
            await self._control(session, message.control.action)
        elif kind == "open":
            await self.refuse(ingest_pb2.Error.CODE_INVALID_ARGUMENT, "the session is open already")
        else:
            await self.refuse(
                ingest_pb2.Error.CODE_UNKNOWN_MESSAGE,
                "a message of a kind that this server does not know was ignored",
            )

    async def _submit_imu(self, session: Session, batch: ingest_pb2.ImuBatch) -> None:
        try:
            await session.submit_imu(self._sender, batch)
        except InputError as error:
            await self.refuse(ingest_pb2.Error.CODE_INVALID_ARGUMENT, str(error))

    async def _control(self, session: Session, action: int) -> None:
        if action == Control.ACTION_PAUSE:
            session.pause()
        elif action == Control.ACTION_RESUME:
            session.resume()
        elif action == Control.ACTION_RESET:
            await session.reset()
        elif action == Control.ACTION_FINISH:
            self._sender.tell(ServerMessage(finished=await session.finish()))
        else:
            await self.refuse(
                ingest_pb2.Error.CODE_UNKNOWN_MESSAGE,
                f"control action {action} is not known to this server",
            )


async def _first(messages: AsyncIterator[ClientMessage]) -> ClientMessage:
    """Raises StopAsyncIteration when there is none, InputError when none comes."""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT_S):
            return await anext(messages)
    except TimeoutError:
        raise InputError(f"no message came within {FIRST_MESSAGE_TIMEOUT_S:g} s") from None
