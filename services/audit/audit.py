"""An audit: every committed shard's files and rows, and the motion of all rows or of a sample, in worker processes."""

import functools
import hashlib
import json
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np

from services.audit.claims import Claims
from services.audit.findings import AuditReport
from services.audit.pinocchio_model import open_kinematics
from services.audit.shard import ShardAudit
from shared.dataset import Dataset
from shared.manifest import Commit

_AHEAD = 2
"""Shards waiting for each worker."""


def audit_dataset(
    dataset: Dataset,
    sample: int | None = None,
    workers: int = 1,
    on_shard: Callable[[AuditReport], None] = lambda report: None,
) -> AuditReport:
    """Checks a dataset from its files.

    Args:
        dataset: finished or not; what is committed is checked.
        sample: rows whose motion is checked, chosen by a fixed seed; all of them by default.
        workers: processes; 1 is this one.
        on_shard: called after each shard, in index order.

    Raises:
        DatasetFormatError: its header makes no sense.
        RobotError: its robot is neither in the catalogue nor beside it, or not with these joints.
    """
    began, header, state = time.monotonic(), dataset.header, dataset.state()
    report = AuditReport(header.dataset_id, state.state)
    canonical = json.dumps(header.request, sort_keys=True, separators=(",", ":"))
    named = hashlib.sha256(canonical.encode()).hexdigest() == header.dataset_id
    report.expect("dataset_id is the request's hash", named, "dataset.json")
    whole = state.watermark == header.shards and dataset.totals() == state.commits.totals()
    complete = state.state != "sealed" or whole
    report.expect("a sealed dataset has every shard", complete, "manifest.json")
    Claims.of(header)
    open_kinematics(report, dataset)
    audit = functools.partial(_audit_shard, dataset.where, sample)
    for part in map(audit, state.commits) if workers == 1 else _in_processes(audit, state.commits, workers):
        report.add(part)
        report.seconds = time.monotonic() - began
        on_shard(report)
    return report


def _in_processes(
    audit: Callable[[Commit], AuditReport], commits: Iterable[Commit], workers: int
) -> Iterator[AuditReport]:
    """Their reports in order, with a bounded number of shards in the making."""
    # Inherited: one thread each, or the workers' BLAS pools fight over the cores.
    os.environ["OMP_NUM_THREADS"] = "1"
    waiting: deque[Future[AuditReport]] = deque()
    # Spawned, never forked: Arrow's threads do not survive a fork.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        for commit in commits:
            waiting.append(pool.submit(audit, commit))
            if len(waiting) >= workers * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _audit_shard(where: str, sample: int | None, commit: Commit) -> AuditReport:
    audit = _opened(where)
    header = audit.dataset.header
    first = commit.index * header.shard_rows
    return audit.check(commit, _chosen(header.count, sample)[first : first + header.shard_rows])


@functools.lru_cache(maxsize=1)
def _opened(where: str) -> ShardAudit:
    """Kept for the life of a worker."""
    return ShardAudit(Dataset(where))


@functools.lru_cache(maxsize=1)
def _chosen(count: int, sample: int | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows are looked at closely, shape (count,)."""
    chosen = np.ones(count, np.bool_)
    if sample is not None and sample < count:
        chosen[:] = False
        chosen[np.random.default_rng(0).choice(count, sample, replace=False)] = True
    return chosen
