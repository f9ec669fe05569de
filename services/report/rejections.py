"""What became of the candidates: accepted, or rejected and why."""

from collections import Counter
from collections.abc import Sequence

from services.report.charts import DATA, QUIET, new_figure, picture, plain
from services.report.page import Picture, section
from shared.manifest import Commit

_MOST_REASONS = 20


def rejections_section(commits: Sequence[Commit]) -> str:
    """The section; over every committed shard."""
    attempts = sum(commit.attempts for commit in commits)
    accepted = sum(commit.rows for commit in commits)
    reasons: Counter[str] = Counter()
    of_families: Counter[str] = Counter()
    for commit in commits:
        reasons.update(commit.rejections)
        for family, counts in commit.rejections_by_family.items():
            of_families.update({f"{family}: {reason}": count for reason, count in counts.items()})
    says = (
        f"{attempts:,} candidates, {accepted:,} rows: {100 * accepted / max(attempts, 1):.1f} % accepted. "
        "A rejected candidate is never written; another one is drawn for its row, of the same family and with as many "
        "segments, so that the mix stays the one that was asked for. Over every committed shard."
    )
    bars = [("accepted", accepted), *reasons.most_common(_MOST_REASONS)]
    pictures = [Picture("Candidates", _bars(bars, attempts, "Accepted candidates and rejected ones by reason"))]
    if of_families:
        bars = [("accepted", accepted), *of_families.most_common(_MOST_REASONS)]
        pictures.append(Picture("By family", _bars(bars, attempts, "Rejected candidates by family and reason")))
    return section("Rejections", says, pictures)


def _bars(bars: list[tuple[str, int]], attempts: int, title: str) -> str:
    """Counts as shares of all candidates; the first bar is of those that were accepted."""
    figure, axes = new_figure(5.2, 0.9 + 0.34 * len(bars))
    shares = [100 * count / max(attempts, 1) for _, count in bars]
    drawn = axes.barh(range(len(bars)), shares, color=[DATA] + [QUIET] * (len(bars) - 1), height=0.65)
    axes.bar_label(drawn, [f" {count:,}" for _, count in bars], fontsize=9)
    axes.set_yticks(range(len(bars)), [plain(name) for name, _ in bars])
    axes.set(xlabel="candidates [%]", ylim=(len(bars) - 0.5, -0.5), xlim=(0, 118))
    axes.set_xticks([0, 25, 50, 75, 100])
    return picture(figure, title)
