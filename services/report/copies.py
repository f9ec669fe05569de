"""Copies beside their demonstrations: where objects lie, which demonstration is copied how often, pace and segments."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from services.report.charts import DATA, DEMONSTRATIONS, legend, new_figure, picture, plain, table
from services.report.motion import SPEEDS, speeds_picture
from services.report.page import Picture, section
from services.report.reading import Sampled
from shared.demonstrated_motions import FIXED, FREE, DemonstratedMotion, DemonstratedMotions
from shared.errors import DatasetFormatError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SHOWN = 2000
"""Copies whose objects are drawn; points beyond them hide one another."""
_MARGIN = 0.03
"""Around the objects of a picture [m]."""


class CopiesSection:
    """Lengths, pace, tool speed, segments and objects of copies, beside those of their demonstrations."""

    def __init__(self, motions: DemonstratedMotions) -> None:
        self._motions = motions
        self._seconds = np.array([(motion.steps - 1) / motions.rate_hz for motion in motions.motions])
        self._counted = np.zeros(len(motions.motions), np.int64)
        self._durations: list[FloatArray] = []
        self._paces: list[FloatArray] = []
        self._speeds, self._shares = _Speeds(), np.zeros(len(motions.objects) + 2)
        self._places: list[FloatArray] = []
        self._demonstrated, self._demonstrated_shares = _Speeds(), np.zeros_like(self._shares)
        for motion in motions.motions:
            moved = np.linalg.norm(np.diff(motion.commanded.position, axis=0), axis=1)
            self._demonstrated.add(moved * motions.rate_hz)
            self._demonstrated_shares += _by_kind(motions, np.bincount(motion.segment_of), motion)

    def add(self, sampled: Sampled) -> None:
        """Counts some rows. Raises DatasetFormatError if they are no copies of these demonstrations."""
        rows, source = sampled.rows, sampled.source
        segment = rows.lists["segment"][:, 0].astype(np.int64)
        motions = self._motions.motions
        if source is None or not ((source >= 0) & (source < len(motions))).all() or (segment < 0).any():
            raise DatasetFormatError("its rows are no copies of its motions; audit it", "column source or segment")
        self._counted += np.bincount(source, minlength=len(motions))
        self._durations.append(rows.duration)
        self._paces.append(rows.duration / self._seconds[source])
        same = np.diff(rows.sample_row) == 0
        moved = np.linalg.norm(np.diff(rows.lists["ee_position"].astype(np.float64), axis=0), axis=1)
        self._speeds.add((moved * rows.rate_hz[rows.sample_row][1:])[same])
        for index in np.unique(source):
            steps = segment[source[rows.sample_row] == index]
            if steps.max() >= len(motions[index].segments):
                raise DatasetFormatError("names a segment that its demonstration has not; audit it", "column segment")
            self._shares += _by_kind(self._motions, np.bincount(steps), motions[index])
        starts = [rows.lists[f"object/{thing.name}/position"][rows.first[:-1], :2] for thing in self._motions.objects]
        self._places.append(np.stack(starts, axis=1).astype(np.float64) if starts else np.empty((len(source), 0, 2)))

    def html(self) -> str:
        """The section."""
        low, middle, high = np.quantile(np.concatenate(self._paces), (0.05, 0.5, 0.95))
        says = (
            f"Copies of {len(self._counted):,} demonstrations of {self._motions.task}, each copied "
            f"{self._counted.min():,} to {self._counted.max():,} times in the rows looked at. A copy takes "
            f"{middle:.2f} times as long as its demonstration (median; {low:.2f} to {high:.2f} for 90 %)."
        )
        objects = [self._from_above(index) for index in range(len(self._motions.objects))]
        others = [self._lengths(), self._speed_picture(), self._sources()]
        return section("Copies beside their demonstrations", says, objects, others, more=self._tables())

    def _tables(self) -> str:
        copies, demonstrated = np.concatenate(self._durations), self._seconds
        lines = [["number", f"{len(demonstrated):,}", f"{len(copies):,}"]]
        for name, share in (("length, 5th percentile", 0.05), ("length, median", 0.5), ("length, 95th", 0.95)):
            lines.append([f"{name} [s]", *(f"{np.quantile(one, share):.2f}" for one in (demonstrated, copies))])
        for name, of in (("mean", "mean"), ("95th percentile", "often"), ("greatest", "greatest")):
            values = (getattr(speeds, of) for speeds in (self._demonstrated, self._speeds))
            lines.append([f"tool speed, {name} [m/s]", *(f"{value:.3f}" for value in values)])
        names = ["free", *(f"with {thing.name}" for thing in self._motions.objects), "at a fixed place"]
        shares = [100 * kind / kind.sum() for kind in (self._demonstrated_shares, self._shares)]
        for name, *both in zip(names, *shares, strict=True):
            if any(both):
                lines.append([f"time {name}", *(f"{share:.1f} %" for share in both)])
        return table(["", "demonstrations", "copies"], lines)

    def _from_above(self, index: int) -> Picture:
        name = self._motions.objects[index].name
        copies = np.concatenate(self._places)[:_SHOWN, index]
        demonstrated = np.array([motion.objects[index].position[0, :2] for motion in self._motions.motions])
        both = np.concatenate([copies, demonstrated])
        low, high = both.min(0) - _MARGIN, both.max(0) + _MARGIN
        figure, axes = new_figure(3.5, float(np.clip(1.0 + 2.6 * (high - low)[1] / (high - low)[0], 2.2, 5.0)))
        axes.plot(*copies.T, ".", color=DATA, markersize=4, alpha=0.5, label="copies", rasterized=True)
        axes.plot(
            *demonstrated.T, "D", color=DEMONSTRATIONS, markersize=5, markeredgecolor="white", label="demonstrations"
        )
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel="x [m]", ylabel="y [m]")
        legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        image = picture(figure, f"Where {name} lies at the start, from above: copies and demonstrations")
        return Picture(f"Where {name} lies", image, "At the start, from above.")

    def _lengths(self) -> Picture:
        copies = np.concatenate(self._durations)
        last = max(float(np.quantile(copies, 0.995)), float(self._seconds.max()), 0.1)
        edges = np.linspace(0, last, 41)
        figure, axes = new_figure()
        for values, color, name in ((self._seconds, DEMONSTRATIONS, "demonstrations"), (copies, DATA, "copies")):
            counts = np.histogram(np.minimum(values, last), edges)[0]
            axes.stairs(100 * counts / len(values), edges, color=color, label=name, linewidth=1.4)
        axes.set(xlim=(0, last), ylim=(0, None), xlabel="length [s]", ylabel="share [%]")
        legend(axes)
        return Picture("Lengths", picture(figure, "Histogram of the lengths of copies and of demonstrations"))

    def _speed_picture(self) -> Picture:
        label = "tool speed [m/s]"
        return speeds_picture(
            "Tool speed of copies", label, SPEEDS, self._speeds.counts, self._demonstrated.counts, "copies"
        )

    def _sources(self) -> Picture:
        figure, axes = new_figure()
        count = len(self._counted)
        axes.stairs(self._counted, np.arange(count + 1) - 0.5, fill=True, color=DATA, linewidth=0)
        axes.set(xlim=(-0.5, count - 0.5), ylim=(0, None), xlabel="demonstration", ylabel="copies")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        most = int(self._counted.argmax())
        caption = plain(
            f"By their places in the motions file. Most copied is {most}, {self._motions.motions[most].name}."
        )
        return Picture("Which demonstration is copied", picture(figure, "Copies of each demonstration"), caption)


class _Speeds:
    """Tool speeds: a histogram, their mean and the greatest."""

    def __init__(self) -> None:
        self.counts, self.greatest, self._sum = np.zeros(len(SPEEDS) - 1), 0.0, 0.0

    def add(self, speeds: FloatArray) -> None:
        """Counts some [m/s]."""
        self.counts += np.histogram(np.minimum(speeds, SPEEDS[-1]), SPEEDS)[0]
        self.greatest = max(self.greatest, float(speeds.max(initial=0.0)))
        self._sum += float(speeds.sum())

    @property
    def mean(self) -> float:
        """[m/s]"""
        return self._sum / max(float(self.counts.sum()), 1.0)

    @property
    def often(self) -> float:
        """What 95 % are not above [m/s], to the width of a bin."""
        share = np.cumsum(self.counts) / max(self.counts.sum(), 1)
        return float(SPEEDS[int(np.searchsorted(share, 0.95)) + 1])


def _by_kind(motions: DemonstratedMotions, steps: IntArray, motion: DemonstratedMotion) -> FloatArray:
    """Steps of a motion's segments by what these are relative to: nothing, each object, a fixed place."""
    counts = np.zeros(len(motions.objects) + 2)
    for segment, count in zip(motion.segments, steps, strict=False):
        counts[{FREE: 0, FIXED: -1}.get(segment.relative_to, segment.relative_to + 1)] += count
    return counts
