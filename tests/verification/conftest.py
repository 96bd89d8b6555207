from __future__ import annotations

import pytest

from lsp_tap.verification import client


@pytest.fixture(autouse=True)
def quick_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test server says all at once, so nobody needs to listen for long whether more is coming."""
    for name in ("QUIET_PULL_S", "QUIET_PUSH_S", "QUIET_UNVERSIONED_S"):
        monkeypatch.setattr(client, name, 0.1)
