"""What every connection shares: limits, waits and the errors that gRPC's status codes become."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from mapcast_client.errors import (
    ConnectionLost,
    InputError,
    MapcastError,
    ProtocolError,
    SessionError,
    StateError,
)

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
DEFAULT_TIMEOUT_S = 60.0
OPEN_TIMEOUT_S = 180.0
"""The first session after an installation waits for its worker's kernels to compile."""
_aio: Any = grpc.aio  # grpc-stubs does not know EOF
END_OF_STREAM = _aio.EOF
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)


async def open_channel(
    address: str, timeout_s: float, ca: str | Path | None = None
) -> grpc.aio.Channel:
    """Connect to `host:port`, with TLS to `grpcs://host:port` or when `ca` is given.

    `ca` is a PEM file of the certificates to trust instead of the system's.

    Raises ConnectionLost as soon as the connection is refused, or after `timeout_s`; InputError
    for an address or file that cannot be used.
    """
    scheme, _, host = address.rpartition("://")
    if scheme not in ("", "grpc", "grpcs"):
        raise InputError(f"address is {address!r}, must be host:port or grpcs://host:port")
    if scheme == "grpcs" or ca is not None:
        credentials = grpc.ssl_channel_credentials(_trusted(ca))
        channel = grpc.aio.secure_channel(host, credentials, options=CHANNEL_OPTIONS)
    else:
        channel = grpc.aio.insecure_channel(host, options=CHANNEL_OPTIONS)
    try:
        async with asyncio.timeout(timeout_s):
            await _until_ready(channel, address)
    except TimeoutError:
        await channel.close(None)
        raise ConnectionLost(
            f"{address} did not answer within {timeout_s:g} s: check the address and the network"
        ) from None
    except ConnectionLost:
        await channel.close(None)
        raise
    return channel


def _trusted(ca: str | Path | None) -> bytes | None:
    if ca is None:
        return None
    try:
        return Path(ca).read_bytes()
    except OSError as error:
        raise InputError(f"ca is {ca}, which cannot be read: {error}") from None


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Give a call's metadata, or a request's headers: the token, if there is one."""
    return (("authorization", f"Bearer {token}"),) if token else ()


async def _until_ready(channel: grpc.aio.Channel, address: str) -> None:
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            raise ConnectionLost(
                f"no mapcast server at {address}: start one with `mapcast serve`, "
                "or check the address and port (gRPC is 8431 by default) and, with TLS, that "
                "`ca` is the server's certificate"
            )
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


@asynccontextmanager
async def translated(address: str, timeout_s: float) -> AsyncIterator[None]:
    """Turn gRPC's errors, and a wait of more than `timeout_s`, into mapcast's."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise ConnectionLost(f"{address} was silent for {timeout_s:g} s") from None
    except grpc.aio.AioRpcError as error:
        raise error_of(error, address) from None


def error_of(error: grpc.aio.AioRpcError, address: str) -> MapcastError:
    """Give the error of mapcast's tree that a failed call means."""
    code, details = error.code(), error.details() or error.code().name
    if code is grpc.StatusCode.UNAVAILABLE:
        return ConnectionLost(f"lost the connection to {address}: {details}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ConnectionLost(f"{address} did not answer in time: {details}")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InputError(details)
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return StateError(details)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return SessionError("unauthenticated", details)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return SessionError("forbidden", details)
    if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return SessionError(code.name.lower(), details)
    return ProtocolError(f"{address} answered {code.name}: {details}")
