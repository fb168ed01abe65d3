"""Frames in over gRPC: one stream is one sender."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from mapcast_client.v1 import ingest_pb2_grpc
from mapcast_client.v1.ingest_pb2 import ClientMessage, ServerMessage
from stream.grpc_token import token_of
from stream.ingest import Ingest
from stream.registry import Registry


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
        async with aclosing(Ingest(self._registry, token_of(context)).answers(requests)) as answers:
            async for answer in answers:
                yield answer
