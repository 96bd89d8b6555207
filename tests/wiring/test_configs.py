"""The examples in `configs/`. That the real OpenCode takes them is tested in `tests/e2e/test_init_and_doctor.py`."""

from pathlib import Path

import pytest

from lsp_tap.wiring.builtin_servers import BUILTIN_IDS, BUILTINS
from lsp_tap.wiring.opencode_config import merge, parse_config
from lsp_tap.wiring.wrap import find_server_start, wrap_command

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.jsonc"))


def test_there_are_examples_and_the_table_lists_each() -> None:
    table = (CONFIGS / "README.md").read_text()
    assert len(EXAMPLES) >= 10
    for example in EXAMPLES:
        assert f"(./{example.name})" in table


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_server_of_an_example_runs_through_the_tap(example: Path) -> None:
    text = example.read_text()
    assert text.startswith("// ")
    merged = merge([parse_config(example, text)])
    recorded = [server for server in merged.servers.values() if not server.disabled]
    assert recorded
    for server in recorded:
        start = find_server_start(server.command)
        assert server.command[:start] == wrap_command(server.id, [], "lsp-tap")
        assert server.command[start:]
        assert server.id in BUILTIN_IDS or server.entry["extensions"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_command_of_a_built_in_server_is_opencodes_own(example: Path) -> None:
    known = {builtin.id: builtin for builtin in BUILTINS}
    for server in merge([parse_config(example, example.read_text())]).servers.values():
        if server.disabled or server.id not in known:
            continue
        name, *arguments = server.command[find_server_start(server.command) :]
        assert (Path(name).name, *arguments) in known[server.id].commands
        if known[server.id].initialization is not None and server.id != "ty":
            assert server.entry["initialization"]
