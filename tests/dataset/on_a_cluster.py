"""Builds a dataset on a Ray cluster of two nodes: `python -m tests.dataset.on_a_cluster JOB`, JOB being JSON."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from lsp_tap.dataset import Options, build_dataset
from lsp_tap.dataset.options import Selection


def main() -> None:
    import ray
    from ray.cluster_utils import Cluster

    job = json.loads(sys.argv[1])
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        options = Options(selection=Selection(outcome="all"), engine="ray", part_bytes=job["part_bytes"])
        summary = build_dataset(job["sources"], job["output"], options)
        nodes = sum(each["Alive"] for each in ray.nodes())  # type: ignore[no-untyped-call]
        sys.stdout.write(json.dumps({"nodes": nodes, "workers": sorted(summary.workers)}) + "\n")
        ray.shutdown()
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
