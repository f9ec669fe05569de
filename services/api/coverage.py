"""Route of what a job's rows cover."""

import json
from collections import OrderedDict

import anyio
from fastapi import APIRouter, Request, Response

from services import dataset_coverage as coverage
from services.api.jobs import JobId, Jobs
from services.api.problems import RESPONSES
from services.api.schemas import CoverageBody
from services.jobs import Job, commit_of
from shared.dataset import Dataset

_KEPT = 32

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["data"], responses=RESPONSES)


@router.get("/coverage", operation_id="get_coverage", responses={200: {"model": CoverageBody}})
async def get_coverage(call: Request, jobs: Jobs, job_id: JobId) -> Response:
    """What its rows cover so far: exact statistics of every column, and histograms of a sample of its rows."""
    return Response(await call.app.state.coverages.of(jobs.job(job_id)), media_type="application/json")


class Coverages:
    """Works out coverage, one job at a time, and keeps the last answers."""

    def __init__(self) -> None:
        # Who waits takes no thread: those are for calls that are quick, as cancelling is.
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._statistics: OrderedDict[Dataset, coverage.Statistics] = OrderedDict()
        self._answers: dict[Dataset, tuple[int, bytes]] = {}

    async def of(self, job: Job) -> bytes:
        """The JSON of a job's coverage. Raises CorruptShardError, UnknownShardError (it was deleted meanwhile)."""
        return await anyio.to_thread.run_sync(self._of, job, limiter=self._one_at_a_time)

    def _of(self, job: Job) -> bytes:
        dataset = job.dataset
        indices = job.tally.after(-1, dataset.header.shards)
        shards, answer = self._answers.get(dataset, (-1, b""))
        if shards != len(indices):
            answer = self._work_out(job, dataset, indices)
            self._answers[dataset] = len(indices), answer
        return answer

    def _work_out(self, job: Job, dataset: Dataset, indices: list[int]) -> bytes:
        statistics = self._statistics.setdefault(dataset, coverage.Statistics())
        self._statistics.move_to_end(dataset)
        if len(self._statistics) > _KEPT:
            self._answers.pop(self._statistics.popitem(last=False)[0], None)
        for index in indices:
            if index not in statistics.merged:
                statistics.add(index, dataset.statistics(index))
        sampled = coverage.sample(dataset, [commit_of(job, index) for index in coverage.pick(indices)])
        body = {
            "shards": len(indices),
            "statistics": statistics.to_json(),
            "sampled_rows": sampled.rows,
            "histograms": sampled.to_json(),
        }
        return json.dumps(body, allow_nan=False).encode()
