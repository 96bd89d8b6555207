"""What a server gives a client to be given back: `data` of items, ids of results. Pure.

A client sends back what this process gave, not what another one gave when it was recorded.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from lsp_tap.playback.normal import spell_params, spell_value


class Handed:
    """Learns from pairs of answers to one request, recorded and new; then maps what is sent."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._result_ids: dict[str, Any] = {}

    def learn(self, recorded: Any, new: Any) -> None:
        """The new answer to a request that was answered so in the recording. Items that say the same are the same."""
        match recorded, new:
            case dict(), dict():
                for key in recorded.keys() & new.keys():
                    if key == "data":
                        self._data[spell_value(recorded[key])] = new[key]
                    elif key == "resultId":
                        self._result_ids[spell_value(recorded[key])] = new[key]
                    else:
                        self.learn(recorded[key], new[key])
            case list(), list() if any(isinstance(item, dict | list) for item in recorded):
                alike: defaultdict[str, list[Any]] = defaultdict(list)
                for item in reversed(new):
                    alike[spell_params(item)].append(item)
                for item in recorded:
                    found = alike.get(spell_params(item))
                    if found:
                        self.learn(item, found.pop())

    def map(self, params: Any) -> Any:
        """The params of a message, with what this process gave."""
        match params:
            case dict():
                return {key: self._map_member(key, value) for key, value in params.items()}
            case list():
                return [self.map(item) for item in params]
        return params

    def _map_member(self, key: str, value: Any) -> Any:
        if key == "data":
            return self._data.get(spell_value(value), value)
        if key in ("previousResultId", "value") and isinstance(value, str):  # `value`: of `previousResultIds`
            return self._result_ids.get(spell_value(value), value)
        return self.map(value)
