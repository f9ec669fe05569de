"""What became of the candidates: accepted, or rejected and why."""

from collections import Counter
from collections.abc import Mapping

from services.report.charts import DATA, QUIET, new_figure, picture, plain
from services.report.page import Picture, section
from shared.manifest import Totals

_MOST_REASONS = 20


def rejections_section(totals: Totals) -> str:
    """The section; over every committed shard."""
    attempts, accepted = totals.attempts, totals.rows
    redraws = _by_family(totals.redraws_by_family)
    says = (
        f"{attempts:,} candidates, {accepted:,} rows: {100 * accepted / max(attempts, 1):.1f} % accepted. "
        "A rejected candidate is never written; another one is drawn for its row, of the same family and with as many "
        "segments, so that the mix stays the one that was asked for. Before that, "
        f"{redraws.total():,} ends of motions were drawn anew by themselves. Over every committed shard."
    )
    bars = [("accepted", accepted), *Counter(totals.rejections).most_common(_MOST_REASONS)]
    pictures = [Picture("Candidates", _bars(bars, attempts, "Accepted candidates and rejected ones by reason"))]
    if of_families := _by_family(totals.rejections_by_family):
        bars = [("accepted", accepted), *of_families.most_common(_MOST_REASONS)]
        pictures.append(Picture("By family", _bars(bars, attempts, "Rejected candidates by family and reason")))
    if redraws:
        bars = redraws.most_common(_MOST_REASONS)
        drawn = _bars(bars, redraws.total(), "Ends that were drawn anew by family and reason", "ends drawn anew [%]")
        pictures.append(Picture("Ends drawn anew", drawn))
    return section("Rejections", says, pictures)


def _by_family(counts: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    return Counter({f"{family}: {reason}": count for family, of in counts.items() for reason, count in of.items()})


def _bars(bars: list[tuple[str, int]], total: int, title: str, unit: str = "candidates [%]") -> str:
    """Counts as shares of the total; a bar of those that were accepted stands out."""
    figure, axes = new_figure(5.2, 0.9 + 0.34 * len(bars))
    shares = [100 * count / max(total, 1) for _, count in bars]
    colors = [DATA if name == "accepted" else QUIET for name, _ in bars]
    drawn = axes.barh(range(len(bars)), shares, color=colors, height=0.65)
    axes.bar_label(drawn, [f" {count:,}" for _, count in bars], fontsize=9)
    axes.set_yticks(range(len(bars)), [plain(name) for name, _ in bars])
    axes.set(xlabel=unit, ylim=(len(bars) - 0.5, -0.5), xlim=(0, 118))
    axes.set_xticks([0, 25, 50, 75, 100])
    return picture(figure, title)
