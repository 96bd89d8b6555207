"""DSPy, which is an extra: imported here alone, when something needs it."""

from __future__ import annotations

import os
from typing import Any

from lsp_tap.errors import LspTapError


class MissingExtra(LspTapError):
    """DSPy, or a package that an optimiser of it needs, is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package

    def __str__(self) -> str:
        return f"{self.package} is not installed: pip install 'lsp-tap[dspy]'"


def import_dspy() -> Any:
    """The module `dspy`. Raises MissingExtra.

    LiteLLM would fetch a list of prices as it is imported; its own copy does.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import dspy  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "dspy") from error
    return dspy


def quiet_dspy() -> Any:
    """DSPy without progress bars and log lines of its own. Raises MissingExtra."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported
    dspy = import_dspy()
    dspy.disable_logging()
    return dspy
