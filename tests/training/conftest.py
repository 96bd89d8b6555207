from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsp_tap.training.extra import quiet_dspy
from tests.training.models import AnsweringModel, teacher_and_student
from tests.training.recordings import write_recordings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnsweringModel]:
    """The teacher and the student, with nothing cached."""
    dspy: Any = quiet_dspy()
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    with teacher_and_student() as running:
        yield running
