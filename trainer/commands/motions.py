"""`python -m trainer motions`."""

from dataclasses import replace
from pathlib import Path

from tyro.conf import Positional

from trainer.settings import check_number


def run(
    demos: Positional[Path],
    out: Path | None = None,
    mapping: Path | None = None,
    count: int | None = None,
    draw: int | None = None,
    segments: Path | None = None,
) -> None:
    """Take out of demonstrations what is kinematics, for the service to make copies of.

    Which steps are motion relative to an object, and which are free, is proposed, and written beside the motions as a
    file to look at and to edit; with --segments, that file is read instead.

    Args:
        demos: our simulator's file, a robomimic file, or the folder of a LeRobot data set.
        out: motions file to write; by default beside the demonstrations, as <name>.motions.parquet.
        mapping: what the columns of the demonstrations mean (.toml or .json, docs/your-data.md), if they aren't our
            simulator's. Its `objects` are the poses of what the task is about.
        count: use the first so many demonstrations, without those of them that are held out.
        draw: use so many that this seed draws, instead of the first.
        segments: TOML with the segments, as this command wrote and a person edited it.
    """
    check_number("--count", count, 1)
    check_number("--draw", draw, 0)
    from shared.motions_file import write_motions
    from trainer.data.demonstrations import read_demonstrations
    from trainer.data.demonstrations.episode import moving
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping
    from trainer.data.motions.description import describe_motions
    from trainer.data.motions.drawing import draw_motions
    from trainer.data.motions.motions import demonstrated_motions
    from trainer.data.motions.segment_proposal import propose
    from trainer.data.motions.segments_file import read_segments, write_segments

    meaning = read_mapping(mapping) if mapping else None
    read, left_out = moving(read_demonstrations(demos, count, mapping=meaning, pictures=False, draw=draw), demos)
    if left_out:
        print(left_out)
    # Copies of a held-out demonstration would tell training what its error is to be measured on.
    read = replace(read, episodes=tuple(episode for episode in read.episodes if not episode.validation))
    path = out or demos.with_suffix(".motions.parquet")
    objects, proposals = propose(read, str(demos))
    beside = path.with_suffix(".toml")
    if segments is None:
        write_segments(objects, proposals, beside)
    else:
        objects, proposals = read_segments(segments, objects, read, proposals)
        kept = {proposal.name for proposal in proposals}
        read = replace(read, episodes=tuple(episode for episode in read.episodes if episode.name in kept))
    motions = demonstrated_motions(read, objects, proposals, str(demos))
    write_motions(motions, path)
    picture = path.with_suffix(".png")
    draw_motions(motions, picture)
    print("\n".join(describe_motions(motions)))
    if segments is None:
        print(f"segments: {beside} (edit it, and pass it as --segments)")
    print(f"picture:  {picture}")
    print(f"motions:  {path} (sha256 {motions.content_sha256})")
