"""Records golden scenarios anew from real servers: `python -m tests.golden.record [NAME...]`, without a name all.

What is computed must come to what the scenario says; otherwise nothing is replaced, and the difference is printed. With
`--fold` the journals stay as they are, and only what they come to is written anew.
"""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.e2e.opencode import REPOSITORY
from tests.golden.essence import build_sessions, measure_essence, sum_up
from tests.golden.scenario import Scenario
from tests.golden.scenarios import SCENARIOS, find_server
from tests.golden.scrub import find_leaks, make_project, scrub_journals
from tests.matrix.client import Client

GOLDEN: Final = Path(__file__).parent
MAX_BYTES: Final = 100_000


def record(scenario: Scenario) -> str | None:
    """Plays a scenario and keeps its journals. Returns what is wrong with them."""
    project = make_project()
    try:
        with Client(project, [find_server(id) for id in scenario.servers]) as client:
            scenario.play(client)
        journals = {path.name: path.read_text("utf-8") for path in (client.logs / "tap").glob("*.jsonl")}
    finally:
        shutil.rmtree(project, ignore_errors=True)
        shutil.rmtree(f"{project}-lib", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder)
        (new / "tap").mkdir()
        for name, text in scrub_journals(journals, str(project)).items():
            (new / "tap" / name).write_text(text, "utf-8")
        wrong = find_fault(scenario, new)
        target = Path(tempfile.gettempdir()) / f"golden-{scenario.name}" if wrong else GOLDEN / scenario.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(new, target)
        target.chmod(0o755)
        return f"{wrong}\n  journals are in {target}" if wrong else None


def find_fault(scenario: Scenario, folder: Path) -> str | None:
    """Writes what the journals of `folder` come to, and says what is wrong with it."""
    sessions = build_sessions(folder)
    essence = {session.session_id: measure_essence(session) for session in sessions}
    (folder / "expected.json").write_text(json.dumps(essence, ensure_ascii=False, indent=1) + "\n", "utf-8")
    for session in sessions:
        wanted, got = scenario.expected[session.session_id], sum_up(session)
        if got != wanted:
            return "\n".join([session.session_id, *difflib.unified_diff(wanted, got, "by hand", "computed", n=9)])
    texts = {path: path.read_text("utf-8") for path in (folder / "tap").iterdir()}
    machine = [str(REPOSITORY), tempfile.gettempdir() + "/", str(Path.home()) + "/"]
    leaks = find_leaks(texts.values(), machine)
    large = [path.name for path, text in texts.items() if len(text.encode()) > MAX_BYTES]
    return f"of this machine: {leaks}, too large: {large}" if leaks or large else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Record golden scenarios anew.")
    parser.add_argument("name", nargs="*", help="which ones; all of them if none is named")
    parser.add_argument("--fold", action="store_true", help="only write expected.json anew, from the journals there")
    options = parser.parse_args()
    names = options.name or list(SCENARIOS)
    failed = 0
    for name in names:
        wrong = find_fault(SCENARIOS[name], GOLDEN / name) if options.fold else record(SCENARIOS[name])
        failed += wrong is not None
        sys.stdout.write(f"{'wrong' if wrong else 'ok   '} {name}\n" + (f"{wrong}\n" if wrong else ""))
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
