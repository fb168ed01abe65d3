"""The token that a call brings in its metadata: `authorization: Bearer …`."""

from typing import Any

import grpc


def token_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The token; empty without one."""
    for name, value in context.invocation_metadata() or ():
        if name == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""
