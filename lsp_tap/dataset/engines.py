"""A pass over the parts: in this process, in several of this machine, or on a Ray cluster, with the same results."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from lsp_tap.dataset.options import EngineName
from lsp_tap.errors import LspTapError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results in the order of the tasks. `function` is a module's, and tasks and results can be pickled."""
        ...


class InProcess:
    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        return map(function, tasks)


class Processes:
    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        try:
            yield from self._pool.map(function, tasks)
        except BrokenProcessPool as error:
            raise LspTapError("a process ended before its work was done; try fewer (--workers)") from error


class RayData:
    """Each task is a block of a Ray dataset, so Ray places, repeats and balances them."""

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        import ray.data
        import ray.exceptions

        if not tasks:
            return
        items = [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(tasks)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items))
        done = dataset.map(partial(_run_pickled, function), num_cpus=1)
        found: dict[int, Result] = {}
        try:
            for item in done.iter_rows():
                result = pickle.loads(item["result"])
                if isinstance(result, Exception):
                    raise result
                found[item["number"]] = result
        except ray.exceptions.RayError as error:
            raise LspTapError(f"Ray gave up: {str(error).strip().splitlines()[0]}") from error
        yield from (found[number] for number in range(len(tasks)))


def _run_pickled(function: Callable[[Any], Any], item: dict[str, Any]) -> dict[str, Any]:
    """An expected failure is a result as well: Ray would only try again, and wrap it in its own."""
    try:
        result = function(pickle.loads(item["task"]))
    except (OSError, LspTapError) as error:
        result = error
    return {"number": item["number"], "result": pickle.dumps(result)}


@contextmanager
def open_engine(name: EngineName, workers: int | None, parts: int) -> Iterator[Engine]:
    """For so many parts. Ray is the cluster that `RAY_ADDRESS` names, else one on this machine, which ends with this.

    Raises LspTapError when Ray is not installed or does not start.
    """
    if name == "ray":
        with _open_ray(workers):
            yield RayData()
        return
    count = min(workers or os.cpu_count() or 1, parts)
    if count <= 1:
        yield InProcess()
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        yield Processes(pool)


@contextmanager
def _open_ray(workers: int | None) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LspTapError("Ray is not installed: pip install 'lsp-tap[ray]'") from error
    is_ours = not ray.is_initialized()
    if is_ours:
        address = os.environ.get("RAY_ADDRESS")
        here: dict[str, Any] = (
            {} if address else {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        )
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
        except (ConnectionError, RuntimeError, TimeoutError) as error:
            raise LspTapError(f"Ray does not start: {str(error).splitlines()[0]}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its plans and its timings are no news here
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        if is_ours:
            ray.shutdown()
