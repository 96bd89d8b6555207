"""Fixtures of the end-to-end tests: a scripted model, and a real OpenCode that talks to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp_tap.wiring.scripted_model import ScriptedModel
from tests.e2e.opencode import OpenCode


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    """A scripted model with an empty script: `model.add(...)` the steps."""
    with ScriptedModel() as running:
        yield running


@pytest.fixture
def opencode(tmp_path: Path, model: ScriptedModel) -> OpenCode:
    """OpenCode in a fresh home and an empty project, not yet with a plugin or a language server."""
    return OpenCode(tmp_path, model)
