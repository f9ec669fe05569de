"""What every test shares: no test depends on wall-clock speed, and every run draws the same examples."""

import os
import signal

from hypothesis import settings

settings.register_profile("headstart", deadline=None, derandomize=True)
settings.load_profile("headstart")

# Child processes too: one thread each, and no Ray telemetry.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests of Ctrl-C then test nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
