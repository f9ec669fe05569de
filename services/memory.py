"""What processes do with memory that they have freed: glibc's defaults suit neither the service nor its workers."""

import ctypes
import gc
import os

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _EVERYTHING_BYTES = 1 << 20, 1 << 30
_ARENAS = 2


def use_one_allocator() -> None:
    """Has Arrow take its memory from malloc too. Call it before Arrow is imported, which looks once.

    Setting its pool later leaves Parquet's readers with Arrow's own allocator, which keeps what streams have freed:
    20 MB for good.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def give_memory_back() -> None:
    """What is freed goes back to the system, rather than to a reserve for each thread. Call it before threads start.

    Streams allocate megabytes at a time, on whichever thread is free: with the allocators' defaults ten at once left
    the process 200 MB larger for good. Elsewhere than on glibc this does less.
    """
    _tell_malloc({_ARENA_MAX: _ARENAS, _MMAP_THRESHOLD: _KEPT_BYTES, _TRIM_THRESHOLD: _KEPT_BYTES})


def trim() -> None:
    """Gives back what is free between what is used, which malloc does not do by itself. Takes some milliseconds."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def keep_what_is_there() -> None:
    """Takes what is in memory now, modules above all, out of the search for garbage. Call it when all is imported.

    Each full search would look at 150,000 objects for a tenth of a second in which no call is answered, and the
    interpreter makes four when it ends.
    """
    gc.collect()
    gc.freeze()


def keep_memory() -> None:
    """What is freed is kept: a worker's next shard needs as much, and clearing it anew took 10 % of its time."""
    _tell_malloc({_MMAP_THRESHOLD: _EVERYTHING_BYTES, _TRIM_THRESHOLD: _EVERYTHING_BYTES})


def _tell_malloc(options: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)
