"""Bodies of what a dataset covers."""

from pydantic import BaseModel

from services.api.schemas.fields import field

_HISTOGRAM = {"edges": [0.0, 1.5, 3.0], "counts": [12, 30]}
_JOINT = {"joint": "panda_joint1", "edges": [-2.8973, 0.0, 2.8973], "counts": [6400, 6600]}
_PLANE = {"axes": "xy", "edges": [[-0.94, 0.0, 0.94], [-0.94, 0.0, 0.94]], "counts": [[10, 12], [9, 11]]}
_STATISTICS = {"count": 66000, "mean": [0.31], "std": [0.17], "min": [-0.2], "max": [0.85]}
_UNITS = "in the unit of the column: m, rad, rad/s, m/s, or none"


class StatisticsBody(BaseModel):
    """Statistics of a column, for each of its components."""

    count: int = field("time steps that they are of", 66000, "count")
    mean: list[float] = field(f"mean of each component, {_UNITS}", [0.31, 0.0, 0.5], "mixed")
    std: list[float] = field(f"standard deviation of each component, {_UNITS}", [0.17, 0.3, 0.2], "mixed")
    min: list[float] = field(f"least value of each component, {_UNITS}", [-0.2, -0.8, 0.0], "mixed")
    max: list[float] = field(f"greatest value of each component, {_UNITS}", [0.85, 0.8, 1.1], "mixed")


class Histogram(BaseModel):
    """Counts between one edge and the next."""

    edges: list[float] = field("borders of the bins, rising; one more than there are bins", [0.0, 1.5, 3.0], "mixed")
    counts: list[int] = field("how many lie in each bin", [12, 30], "count")


class JointHistogram(Histogram):
    """Between the joint's limits."""

    joint: str = field("name of the joint", "panda_joint1")


class PlaneHistogram(BaseModel):
    """Counts in cells of two axes, the first axis's cells outside."""

    axes: str = field("names of the two axes", "xy")
    edges: list[list[float]] = field("borders of the cells along each axis [m], or of angles [rad]", [[0, 1]], "mixed")
    counts: list[list[int]] = field("how many lie in each cell", [[10, 12], [9, 11]], "count")


class HistogramsBody(BaseModel):
    """Histograms of the sampled rows, over every time step."""

    joint_position: list[JointHistogram] = field("of each joint's position, between its limits", [_JOINT], "rad or m")
    joint_velocity: list[JointHistogram] = field(
        "of each joint's velocity, between its limits", [_JOINT], "rad/s or m/s"
    )
    ee_position: list[PlaneHistogram] = field(
        "the tool centre point from three sides, in the base frame", [_PLANE], "m"
    )
    tool_axis: PlaneHistogram = field(
        "direction of the tool's z axis in the base frame: cosine of its polar angle, azimuth; cells of equal areas",
        {**_PLANE, "axes": "cos(polar), azimuth"},
        "1, rad",
    )
    duration: Histogram = field("of the durations, a count for each row", _HISTOGRAM, "s")
    family: dict[str, int] = field("rows of each motion family", {"point_to_point": 19, "via_points": 21}, "count")


class CoverageBody(BaseModel):
    """What a dataset covers."""

    shards: int = field("committed when this was worked out", 4, "count")
    statistics: dict[str, StatisticsBody] = field(
        "of every row, by the column's name", {"ee_position": _STATISTICS}, "mixed"
    )
    sampled_rows: int = field("rows that the histograms are of", 256, "count")
    histograms: HistogramsBody = field(
        "of the sampled rows; see HistogramsBody", {"duration": _HISTOGRAM, "family": {"via_points": 21}}, "mixed"
    )
