"""Settings: where they come from, which wins, and what cannot be."""

from pathlib import Path

import pytest
from aiortc.rtcicetransport import parse_stun_turn_uri

from mapcast_client.errors import InputError
from stream.config import IceServer, ServerConfig, user_cache, user_data


def test_an_override_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    toml = tmp_path / "mapcast.toml"
    toml.write_text("http_port = 1\ngrpc_port = 1\nmax_sessions = 1\n")
    environment = {"MAPCAST_GRPC_PORT": "2", "MAPCAST_MAX_SESSIONS": "2", "PATH": "/bin"}
    config = ServerConfig.load(toml, environment, max_sessions=3, host=None)
    assert (config.http_port, config.grpc_port, config.max_sessions) == (1, 2, 3)
    assert config.host == "127.0.0.1"


@pytest.mark.parametrize(("text", "value"), [("0", False), ("true", True), ("False", False)])
def test_booleans_of_the_environment(text: str, value: bool) -> None:
    config = ServerConfig.load(environment={"MAPCAST_KEEP_WARM_WORKER": text})
    assert config.keep_warm_worker is value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("http_port", 70_000),
        ("max_sessions", 0),
        ("sender_timeout_s", -1.0),
        ("message_bytes", 10),
        ("web_dir", Path("/nowhere")),
        ("vocabulary", Path("/nowhere.txt")),
        ("recordings_bytes", 1000),
        ("recordings_age_days", 0.0),
    ],
)
def test_what_cannot_be_is_named(setting: str, value: object) -> None:
    with pytest.raises(InputError, match=setting):
        ServerConfig.load(environment={}, **{setting: value})


def test_a_value_of_the_wrong_kind_is_named() -> None:
    with pytest.raises(InputError, match="http_port is 'eighty'"):
        ServerConfig.load(environment={"MAPCAST_HTTP_PORT": "eighty"})


def test_an_unknown_or_broken_file_is_named(tmp_path: Path) -> None:
    toml = tmp_path / "mapcast.toml"
    for text, words in (("htp_port = 1", "unknown setting 'htp_port'"), ("= 1", "mapcast.toml")):
        toml.write_text(text)
        with pytest.raises(InputError, match=words):
            ServerConfig.load(toml, {})


def test_the_folders_follow_xdg() -> None:
    assert user_cache({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/mapcast")
    assert user_data({"XDG_DATA_HOME": "/somewhere"}) == Path("/somewhere/mapcast")
    assert user_data({}) == Path.home() / ".local" / "share" / "mapcast"


def test_recording_is_off_unless_a_caller_has_a_folder_for_it() -> None:
    assert ServerConfig().recordings is None
    defaults = {"recordings": Path("/data")}
    assert ServerConfig.load(None, {}, defaults).recordings == Path("/data")
    off = {"MAPCAST_RECORDINGS": "off"}
    assert ServerConfig.load(None, off, defaults).recordings is None
    elsewhere = {"MAPCAST_RECORDINGS": "/elsewhere", "MAPCAST_RECORDINGS_BYTES": "16777216"}
    config = ServerConfig.load(None, elsewhere, defaults)
    assert (config.recordings, config.recordings_bytes) == (Path("/elsewhere"), 16 << 20)
    assert ServerConfig.load(None, elsewhere, defaults, recordings="off").recordings is None


@pytest.mark.parametrize(
    ("host", "access", "is_closed"),
    [
        ("127.0.0.1", "auto", False),
        ("127.8.8.8", "auto", False),
        ("::1", "auto", False),
        ("localhost", "auto", False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("192.168.7.7", "auto", True),
        ("maps.example", "auto", True),
        ("0.0.0.0", "open", False),
        ("127.0.0.1", "closed", True),
    ],
)
def test_only_loopback_is_open_by_itself(host: str, access: str, is_closed: bool) -> None:
    assert ServerConfig(host=host, access=access).is_closed is is_closed


def test_lists_come_from_toml_and_from_the_environment(tmp_path: Path) -> None:
    toml = tmp_path / "mapcast.toml"
    toml.write_text(
        'cors_origins = ["https://a.example/", "*"]\n'
        'ice_servers = ["stun:s.example:3478", {urls = "turn:t.example", username = "u", '
        'credential = "c-secret"}]\n'
    )
    config = ServerConfig.load(toml, {})
    assert config.cors_origins == ("https://a.example", "*")
    turn = IceServer("turn:t.example", "u", "c-secret")
    assert config.ice_servers == (IceServer("stun:s.example:3478"), turn)
    environment = {
        "MAPCAST_CORS_ORIGINS": "https://a.example, http://b.example:8080",
        "MAPCAST_ICE_SERVERS": '["stun:s.example:3478"]',
    }
    config = ServerConfig.load(environment=environment)
    assert config.cors_origins == ("https://a.example", "http://b.example:8080")
    assert config.ice_servers == (IceServer("stun:s.example:3478"),)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("cors_origins", "maps.example"),
        ("ice_servers", "stun:not-json"),
        ("ice_servers", '["http://c-secret.example"]'),
        ("ice_servers", '[{"url": "turn:t.example", "credential": "c-secret"}]'),
        ("api_token", "c-secret with spaces"),
        ("api_token", "short"),
        ("access", "maybe"),
        ("tls", "on"),
        ("udp_port_min", "40000"),
    ],
)
def test_what_cannot_be_is_named_and_no_secret_is(setting: str, text: str) -> None:
    with pytest.raises(InputError, match=setting) as refusal:
        ServerConfig.load(environment={f"MAPCAST_{setting.upper()}": text})
    if setting != "ice_servers" or "credential" in text:
        assert "c-secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "stun:",
        "stun::3478",
        "stun:s.example:",
        "stun:s.example:port",
        "turn:t.example?transport=",
        "stun:s.example?transport=udp",
        "turn:u@t.example",
        "turn:[::1]:3478",
        "stun:/s.example",
    ],
)
def test_an_ice_server_that_every_offer_would_fail_at_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="ice_servers"):
        IceServer(url)
    for good in ("stun:s.example", "stuns:1.2.3.4:5", "turn:t?transport=tcp", "turns:t:1"):
        assert parse_stun_turn_uri(IceServer(good).urls)


def test_secrets_are_in_no_repr() -> None:
    config = ServerConfig(api_token="c-secret", ice_servers=(IceServer("turn:t", "u", "c-secret"),))
    assert "c-secret" not in repr(config)
