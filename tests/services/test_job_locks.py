"""Each job is changed by one thread at a time."""

import threading

import pytest

from services.jobs.errors import JobStateError
from services.jobs.job_locks import JobLocks


def test_a_job_waits_for_its_turn_and_other_jobs_do_not() -> None:
    locks, inside = JobLocks(), threading.Event()

    def change() -> None:
        with locks.of("a"):
            inside.set()

    thread = threading.Thread(target=change)
    with locks.of("a"):
        thread.start()
        with locks.of("b"):
            assert not inside.wait(0.1)
    assert inside.wait(60)
    thread.join()


def test_who_comes_while_a_job_is_deleted_is_turned_away() -> None:
    locks = JobLocks()

    def change() -> None:
        with pytest.raises(JobStateError, match="being deleted; try again"), locks.of("a"):
            pass

    thread = threading.Thread(target=change)
    with locks.of("a", deletes=True):
        thread.start()
        thread.join(20)
        # It does not wait, not even for the end of this block.
        assert not thread.is_alive()
    with locks.of("a"):
        pass


def test_a_turn_ends_also_where_what_was_tried_failed() -> None:
    locks = JobLocks()
    with pytest.raises(RuntimeError), locks.of("a", deletes=True):
        raise RuntimeError
    with locks.of("a"):
        pass
