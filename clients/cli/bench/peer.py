"""Open3D, which some benches measure beside."""

from typing import Any

from mapcast_client.errors import DependencyError


def require_open3d() -> Any:
    """Import Open3D. Raises DependencyError, which says how to get it."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise DependencyError(
            f"the peer is Open3D, which does not load ({error}): pip install 'mapcast[bench]', and "
            "libusb-1.0-0 from the system's packages; `make bench` does both"
        ) from None
    return open3d
