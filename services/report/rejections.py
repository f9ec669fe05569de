"""What became of the candidates: accepted, or rejected and why."""

from collections import Counter

from services.report.charts import DATA, QUIET, new_figure, picture, plain
from services.report.page import Picture, section
from shared.manifest import Totals

_MOST_REASONS = 20


def rejections_section(totals: Totals) -> str:
    """The section; over every committed shard."""
    attempts, accepted = totals.attempts, totals.rows
    most = Counter(totals.rejections).most_common(_MOST_REASONS)
    names = ["accepted", *(name for name, _ in most)]
    counts = [accepted, *(count for _, count in most)]
    figure, axes = new_figure(5.2, 0.9 + 0.34 * len(names))
    shares = [100 * count / max(attempts, 1) for count in counts]
    bars = axes.barh(range(len(names)), shares, color=[DATA] + [QUIET] * (len(names) - 1), height=0.65)
    axes.bar_label(bars, [f" {count:,}" for count in counts], fontsize=9)
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set(xlabel="candidates [%]", ylim=(len(names) - 0.5, -0.5), xlim=(0, 118))
    axes.set_xticks([0, 25, 50, 75, 100])
    says = (
        f"{attempts:,} candidates, {accepted:,} rows: {100 * accepted / max(attempts, 1):.1f} % accepted. "
        "A rejected candidate is never written; another one is drawn for its row. Over every committed shard."
    )
    pictures = [Picture("Candidates", picture(figure, "Accepted candidates and rejected ones by reason"))]
    return section("Rejections", says, pictures)
