from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.generated import write_projects


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve projects of three sessions, each of three turns: two successes, one failure."""
    folder = tmp_path_factory.mktemp("projects")
    write_projects(folder, 12, 3, text_bytes=150)
    return folder
