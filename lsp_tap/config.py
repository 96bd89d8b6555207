"""Settings: `lsp-tap.toml` in the logs folder, then environment variables (`LSP_TAP_...`), over the defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lsp_tap.errors import LspTapError

FILE_NAME: Final = "lsp-tap.toml"


class BadSettings(LspTapError):
    """A setting at `place` is not what it should be."""

    exit_code = 2

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place, self.reason = place, reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class Thresholds(BaseModel):
    """What decides over the success of a turn, and its rewards; the rules are in `lsp_tap.session.scoring`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_limit_s: Annotated[float, Field(gt=0)] = 300.0
    """A turn that took as long, or longer, is no success."""
    least_tool_calls: Annotated[int, Field(ge=0)] = 1
    """How many tool calls a success takes."""
    least_messages: Annotated[int, Field(ge=1)] = 2
    """How many messages a success takes, the user's included."""
    net_new_errors: Annotated[int, Field(ge=0)] = 0
    """How many more LSP errors a success may introduce than it clears."""
    least_mended: Annotated[int, Field(ge=0)] = 1
    """How many errors a success must fix where the task was to mend; where there were fewer, all."""
    error_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """What an error counts in the rewards of steps."""
    warning_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """What a warning counts there."""


class Settings(Thresholds):
    """Everything a user can set. Times in seconds."""

    settle_limit_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    """How long the writer waits for servers that still owe an answer."""
    history_limit: Annotated[int, Field(ge=0)] | None = None
    """How many earlier messages an example keeps; unset: all."""
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 90.0
    """How long journals are kept whole. Of older ones the head stays, and the session and training files."""
    plain_days: Annotated[float, Field(ge=0, le=36_500)] = 1.0
    """How long finished journals stay as they are, for jq and grep, before they are compressed."""
    plain_mb: Annotated[int, Field(ge=0)] = 256
    """How many megabytes (2**20 bytes) of them at the most; the oldest are compressed first."""
    keep_mb: Annotated[int, Field(gt=0)] = 2048
    """How many megabytes all journals of a project may take: the oldest are cut down first, and none grows beyond."""


def read_settings(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings for a logs folder. Raises BadSettings with the place and what is wrong there."""
    environment = os.environ if environment is None else environment
    path = folder / FILE_NAME
    fields: dict[str, Any] = {}
    if path.is_file():
        try:
            fields = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise BadSettings(str(path), str(error)) from error
    named = {f"LSP_TAP_{name.upper()}": name for name in Settings.model_fields}
    fields |= {name: environment[variable] for variable, name in named.items() if variable in environment}
    try:
        return Settings.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadSettings(f"{path}: {'.'.join(map(str, first['loc']))}", first["msg"]) from error
