"""In a container an agent has the same process id every day, and so have its servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_tap.journal.reader import read_folder
from lsp_tap.session.processes import Processes
from lsp_tap.session.writer import SessionWriter
from tests.session.growing import ALL, put_on_day, write_all

AFTER = [(golden, ALL[(number + 7) % len(ALL)]) for number, golden in enumerate(ALL)]


@pytest.mark.parametrize(("golden", "earlier"), AFTER, ids=lambda folder: folder.name[:30])
def test_yesterdays_servers_of_a_client_with_that_id_are_not_todays(
    golden: Path, earlier: Path, tmp_path: Path
) -> None:
    for folder in (tmp_path / "both", tmp_path / "apart1"):
        put_on_day(earlier, folder, 0, "a")
    for folder in (tmp_path / "both", tmp_path / "apart2"):
        put_on_day(golden, folder, 1, "b")
    both, *apart = (write_all(SessionWriter(tmp_path / name)) for name in ("both", "apart1", "apart2"))
    assert both == apart[0] | apart[1]


def write_clients(folder: Path, *clients: tuple[int, int, float | None]) -> Processes:
    """Journals of clients: process id, when each began, and what it says of its process."""
    for number, (pid, started_us, process_started_ms) in enumerate(clients):
        said = "" if process_started_ms is None else f',"process_started_ms":{process_started_ms}'
        (folder / f"client-{number}.jsonl").write_text(
            f'{{"seq":0,"time_us":{started_us},"monotonic_us":0,"kind":"client_started","format":1,"recorder":"t",'
            f'"pid":{pid}{said}}}\n'
        )
    return Processes(read_folder(folder))


def test_two_journals_of_one_process_are_of_one_client(tmp_path: Path) -> None:
    processes = write_clients(tmp_path, (7, 1_000, 1.0), (7, 2_000, 1.0), (7, 3_000, 3.0), (8, 4_000, 1.0))
    numbers = [processes.find_number(journal) for journal in read_folder(tmp_path)]
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3


def test_those_that_do_not_say_are_of_several(tmp_path: Path) -> None:
    processes = write_clients(tmp_path, (7, 1_000, None), (7, 2_000, None))
    assert len({processes.find_number(journal) for journal in read_folder(tmp_path)}) == 2
