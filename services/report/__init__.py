"""Looking at a dataset: one self-contained HTML page, and its distance from demonstrations."""

from services.report.distance import ASPECTS, Distance, energy_distance, window_distances
from services.report.report import Report, make_report

__all__ = ["ASPECTS", "Distance", "Report", "energy_distance", "make_report", "window_distances"]
