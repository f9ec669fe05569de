"""Summaries of demonstrations: chains of waypoints and a sample of windows, in the format of shared.summary."""

from trainer.data.summarize.segments import Tolerance, segment
from trainer.data.summarize.summarize import HELD_OUT, HORIZON, WINDOWS, describe, summarize

__all__ = ["HELD_OUT", "HORIZON", "WINDOWS", "Tolerance", "describe", "segment", "summarize"]
