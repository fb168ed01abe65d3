import socket
from pathlib import Path

import pytest

from clients.cli.connection import Credentials, Server, free_or_any, reach
from mapcast_client.errors import ConnectionLost


async def test_a_running_server_has_its_http_port_beside_it() -> None:
    async with reach("robot.local:9000", None) as server:
        assert server == Server("robot.local:9000", "http://robot.local:8430")
    async with reach("robot.local:9000", "http://robot.local:9001/") as server:
        assert server.viewer_url("/?session=a") == "http://robot.local:9001/?session=a"


async def test_tls_of_the_grpc_port_is_tls_of_the_http_port(tmp_path: Path) -> None:
    trusting = Credentials("a-token", tmp_path / "ca.pem")
    async with reach("robot.local:9000", None, credentials=trusting) as server:
        assert server == Server("robot.local:9000", "https://robot.local:8430", trusting)
        assert "a-token" not in repr(server)
    async with reach("grpcs://robot.local:9000", None) as server:
        assert server.http_url == "https://robot.local:8430"


async def test_an_http_port_that_is_not_there_says_which_option_names_it() -> None:
    with pytest.raises(ConnectionLost, match=r"http://127\.0\.0\.1:1.*--http"):
        await Server("127.0.0.1:1", "http://127.0.0.1:1").get("/healthz")


def test_a_taken_port_is_replaced_by_any() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_or_any("127.0.0.1", port) == 0
    assert free_or_any("127.0.0.1", port) == port
