"""The paths that people and pages open; tokens only ever in the fragment, which no server sees."""

from stream.access import SessionTokens


def viewer_path(session_id: str, tokens: SessionTokens) -> str:
    """The page that shows the map."""
    return f"/?session={session_id}{_fragment(tokens.watch)}"


def camera_path(session_id: str, tokens: SessionTokens) -> str:
    """The page that streams a camera into the session."""
    return f"/camera.html?session={session_id}{_fragment(tokens.publish)}"


def whip_path(session_id: str) -> str:
    """Where WHIP publishers of the session post their offer."""
    return f"/v1/sessions/{session_id}/whip"


def export_paths(session_id: str) -> dict[str, str]:
    """The map's files, and the path through it."""
    base = f"/v1/sessions/{session_id}"
    files = {mesh_format: f"{base}/map.{mesh_format}" for mesh_format in ("ply", "obj", "glb")}
    return files | {"trajectory": f"{base}/trajectory.tum"}


def _fragment(token: str) -> str:
    return f"#token={token}" if token else ""
