"""`python -m tests.train.ray_nodes`: a Ray cluster on the loopback of this machine, one worker a line `add`.

It is a process of its own, because Ray takes over the signals and the warnings of the process it is in. It
prints the head's address, then each line once it is done: `add`, or `kill` (the oldest worker, as a power cut
does).
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

SMALL = {"node_ip_address": "127.0.0.1", "object_store_memory": 80_000_000, "include_dashboard": False}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "num_cpus": 0})
    workers = []
    say(cluster.address)
    for line in sys.stdin:
        if line == "add\n":
            workers.append(cluster.add_node(**SMALL, num_cpus=1))
        else:
            cluster.remove_node(workers.pop(0), allow_graceful=False)
        say(line.strip())
    cluster.shutdown()


def say(line: str) -> None:
    sys.__stdout__.write(f"{line}\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    main()
