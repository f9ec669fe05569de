"""Datasets in the layouts of other programs: LeRobotDataset v3 and v2.1, robomimic HDF5."""

from services.export.episodes import ACTION_LABELS, ACTIONS, Content
from services.export.export import FORMATS, export_dataset

__all__ = ["ACTIONS", "ACTION_LABELS", "FORMATS", "Content", "export_dataset"]
