"""Links that are printed."""

import io

import pytest
from rich.console import Console

from clients.cli import progress
from clients.cli.progress import shown_link

LINK = "http://robot:8430/?session=a#token=of-the-watcher"


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, LINK), (False, LINK.partition("#")[0])])
def test_a_token_is_for_terminals_and_not_for_logs(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, shown: str
) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal)
    monkeypatch.setattr(progress, "console", console)
    assert shown_link(LINK) == shown
    assert shown_link("http://robot:8430/?session=a") == "http://robot:8430/?session=a"
