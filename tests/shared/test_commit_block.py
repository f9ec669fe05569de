"""A block of commits says what its commits said, one by one and in sum."""

from headstart_client.data.commit_block import CommitBlock, pack_block
from shared.manifest import Commit, Totals


def _commit(index: int) -> Commit:
    by_family = {"hold": {"ik": index}, "via_points": {"ik": 1, "self_collision": 2 * index}}
    by_family = {"hold": by_family["hold"]} if index % 3 == 0 else by_family
    rejections = {"ik": sum(counts.get("ik", 0) for counts in by_family.values()), "self_collision": 2 * index}
    digest = f"{index:064x}"
    return Commit(
        index,
        10,
        200 + index,
        3000,
        f"shard-{index:08d}-{digest[:16]}.parquet",
        digest,
        digest,
        20,
        rejections,
        by_family,
        {"point_to_point": {"keep_out": 1 + index}},
    )


def test_commits_and_sums_come_back_from_a_block() -> None:
    commits = [_commit(index) for index in range(1024, 1034)]
    block = CommitBlock(pack_block(commits, [{}] * len(commits)), range(1024, 1034), "block")
    assert block.commits(1024, 1034) == commits
    assert block.commit(1030) == commits[6]
    assert block.totals() == Totals.of(commits)
    assert block.totals().rejections_by_family["via_points"]["ik"] == 7
    assert block.totals().redraws_by_family == {"point_to_point": {"keep_out": 10 * 1024 + 45 + 10}}
    assert Totals.sum([Totals.of(commits[:4]), Totals.of(commits[4:])]) == Totals.of(commits)
