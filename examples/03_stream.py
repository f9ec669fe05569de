"""Train on the rows of a running service while it makes them.

You learn how a job is submitted, how its rows arrive, and how they become tensors: a small network learns where the
tool is from the joints. Start a service first, and leave it running:

    python -m services serve --data try/service
    python examples/03_stream.py --service http://localhost:8000
"""

import argparse
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from headstart_client import Client

ROBOT = "panda"
REQUEST = {"robot": ROBOT, "workspace": {"kind": "reachable"}, "shard_rows": 100}


def samples(client: Client, job_id: str, dof: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Of some rows at a time: joint positions (n, dof), tool positions (n, 3) of all their samples, and how many rows.

    Rows come in their order, each as soon as its shard is committed; after the last one of the job, it ends.
    """
    for batch in client.stream(job_id):
        joints = torch.tensor(batch.column("joint_position").flatten().to_numpy()).reshape(-1, dof)
        tool = torch.tensor(batch.column("ee_position").flatten().to_numpy()).reshape(-1, 3)
        yield joints, tool, batch.num_rows


def main() -> None:
    """Asks for rows, and trains on them as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", default="http://localhost:8000", help="URL of the service")
    parser.add_argument("--count", type=int, default=2000, help="trajectories to ask for")
    options = parser.parse_args()

    torch.manual_seed(0)
    with Client(options.service) as client:
        client.wait_ready()
        dof = len(client.robot(ROBOT)["joint_names"])
        network = nn.Sequential(nn.Linear(dof, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 3))
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        job = client.submit({**REQUEST, "count": options.count})
        seen = 0
        for joints, tool, rows in samples(client, job["id"], dof):
            for part in torch.split(torch.randperm(len(joints)), 256):
                off = (network(joints[part]) - tool[part]).norm(dim=1).mean()
                optimizer.zero_grad()
                off.backward()
                optimizer.step()
            seen += rows
            print(f"{seen} of {options.count} rows: off by {off.item():.3f} m")


if __name__ == "__main__":
    main()
