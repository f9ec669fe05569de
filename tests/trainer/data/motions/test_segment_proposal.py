"""Segments proposed for demonstrations whose every step is known, and read back from what a person edited."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared import motions_parquet
from shared.demonstrated_motions import FIXED, FREE, Held, MovedObject, Segment
from shared.errors import ConfigError, DemonstrationError
from tests.stacking import demonstrations
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.data.motions.description import describe_motions
from trainer.data.motions.drawing import draw_motions
from trainer.data.motions.grasps import gripper_events
from trainer.data.motions.motions import demonstrated_motions, proposed_motions
from trainer.data.motions.segment_proposal import propose
from trainer.data.motions.segments_file import read_segments, write_segments

COUNT = 12


def test_gripper_events_know_what_they_take_and_leave() -> None:
    episode = demonstrations(1).episodes[0]
    closes, opens = (np.flatnonzero(np.diff(episode.actions[:, 9])) + 1).tolist()
    events = gripper_events(episode)
    assert [(event.step, event.closes, event.thing) for event in events] == [
        (closes, True, "block"),
        (opens, False, "block"),
    ]


def test_segments_are_around_what_the_hand_does() -> None:
    given = demonstrations(COUNT)
    objects, proposals = propose(given, "file")
    assert objects == given.objects
    for episode, proposal in zip(given.episodes, proposals, strict=True):
        closes, opens = (np.flatnonzero(np.diff(episode.actions[:, 9])) + 1).tolist()
        first, take, between, leave = proposal.segments
        assert [one.relative_to for one in proposal.segments] == [FREE, 0, FREE, 1]
        assert leave.end == len(episode.actions)
        assert closes - 12 <= first.end <= closes - 8
        assert closes + 5 <= take.end <= opens - 15
        assert opens - 12 <= between.end <= opens - 8
        assert proposal.held == (Held(0, closes, opens),)
        # The block is taken as it lies; on the base, whose yaw has nothing to do with the hand's, it may lie anyhow.
        assert (take.turns_with, leave.turns_with) == ("object", "hand")
    motions = demonstrated_motions(given, objects, proposals, "file")
    assert motions_parquet.from_parquet(motions_parquet.to_parquet(motions)) == motions
    assert describe_motions(motions)[2].startswith("12 of them: free")


def test_of_held_out_demonstrations_there_are_no_motions() -> None:
    given = demonstrations(COUNT)
    episodes = tuple(replace(episode, validation=place == 1) for place, episode in enumerate(given.episodes))
    motions = proposed_motions(replace(given, episodes=episodes), "file")
    kept = replace(given, episodes=tuple(episode for place, episode in enumerate(given.episodes) if place != 1))
    assert [motion.name for motion in motions.motions] == [episode.name for episode in kept.episodes]
    assert motions == demonstrated_motions(kept, *propose(kept, "file"), "file")


def aligned(episode: Episode) -> Episode:
    """With the base turned as the hand is: what is put on it is put there in one orientation."""
    objects = {**episode.objects, "base": episode.objects["base"].copy()}
    objects["base"][:, 3:] = episode.objects["block"][:, 3:]
    return replace(episode, objects=objects)


def test_a_skill_that_depends_on_the_yaw_turns_with_its_object() -> None:
    _, proposals = propose(demonstrations(COUNT, aligned), "file")
    assert {proposal.segments[3].turns_with for proposal in proposals} == {"object"}
    # Of three demonstrations chance could tell anything.
    _, proposals = propose(demonstrations(3), "file")
    assert {proposal.segments[3].turns_with for proposal in proposals} == {"object"}


def cut(episode: Episode) -> Episode:
    """Ended before the gripper opens, as by a check of success that does not wait for that."""
    opens = int(np.flatnonzero(np.diff(episode.actions[:, 9]) < 0)[0])
    objects = {name: poses[:opens] for name, poses in episode.objects.items()}
    assert episode.tool is not None
    return replace(episode, actions=episode.actions[:opens], tool=episode.tool[:opens], objects=objects)


def test_what_is_still_held_at_the_end_is_relative_to_what_it_was_brought_to() -> None:
    given = demonstrations(COUNT, cut)
    for episode, proposal in zip(given.episodes, propose(given, "file")[1], strict=True):
        closes, steps = int(np.flatnonzero(np.diff(episode.actions[:, 9]))[0]) + 1, len(episode.actions)
        assert [one.relative_to for one in proposal.segments] == [FREE, 0, FREE, 1]
        assert (proposal.segments[2].end, proposal.segments[3].end) == (steps - 11, steps)
        assert proposal.held == (Held(0, closes, steps),)


def not_brought(episode: Episode) -> Episode:
    """The base lies where the block was taken, from where it is carried away."""
    base = np.repeat(episode.objects["block"][:1], len(episode.actions), 0)
    base[:, 0] += 0.1
    return cut(replace(episode, objects={**episode.objects, "base": base}))


def test_what_is_held_at_the_end_away_from_everything_is_relative_to_where_it_was_taken_alone() -> None:
    _, proposals = propose(demonstrations(1, not_brought), "file")
    assert [one.relative_to for one in proposals[0].segments] == [FREE, 0]


@pytest.mark.parametrize(("height", "begins"), [(0.09, 0.09), (0.25, 0.25), (0.50, 0.30)])
def test_the_straight_way_down_to_where_something_is_left_belongs_to_the_skill(height: float, begins: float) -> None:
    def from_above(episode: Episode) -> Episode:
        """Comes down from `height` [m] by 1 cm a step, after 10 cm of the same height."""
        opens = int(np.flatnonzero(np.diff(episode.actions[:, 9]) < 0)[0]) + 1
        actions, down = episode.actions.copy(), round(100 * height)
        actions = np.concatenate([actions[: opens - 9], np.repeat(actions[opens - 1 : opens], down + 19, 0)])
        last = len(actions) - 9
        actions[last - down : last, 2] += np.linspace(height, 0.01, down, dtype=np.float32)
        actions[last - down - 10 : last - down, 0] += np.linspace(0.1, 0.01, 10, dtype=np.float32)
        actions[last - down - 10 : last - down, 2] += np.float32(height)
        actions[last:, 9] = -1
        objects = {
            name: np.concatenate([poses, np.repeat(poses[-1:], 200, 0)])[: len(actions)]
            for name, poses in episode.objects.items()
        }
        objects["block"][opens:last, :3] = objects["base"][0, :3] + np.array([0.0, 0.0, 0.05], np.float32)
        return replace(episode, actions=actions, tool=None, objects=objects)

    given = demonstrations(1, from_above)
    _, proposals = propose(given, "file")
    segment = proposals[0].segments[2]
    path = given.episodes[0].actions[:, :3]
    assert np.linalg.norm(path[segment.end] - path[-1]) == pytest.approx(begins, abs=0.011)


def without_base(episode: Episode) -> Episode:
    return replace(episode, objects={"block": episode.objects["block"]})


def test_what_is_left_beside_nothing_is_left_at_a_fixed_place() -> None:
    given = replace(demonstrations(COUNT, without_base), objects=(MovedObject("block", 4),))
    _, proposals = propose(given, "file")
    assert {proposal.segments[3].relative_to for proposal in proposals} == {FIXED}


def test_without_poses_of_objects_the_hand_tells_them() -> None:
    given = demonstrations(COUNT, lambda episode: replace(episode, objects={}))
    objects, proposals = propose(replace(given, objects=()), "file")
    assert [thing.name for thing in objects] == ["taken_1", "left_1"]
    for episode, proposal in zip(given.episodes, proposals, strict=True):
        closes, opens = (np.flatnonzero(np.diff(episode.actions[:, 9])) + 1).tolist()
        tool = episode.actions[:, :3]
        taken, left = (proposal.objects[name][:, :3] for name in ("taken_1", "left_1"))
        np.testing.assert_allclose(taken[:closes], np.repeat(tool[closes][None], closes, 0), atol=1e-6)
        np.testing.assert_allclose(taken[closes:opens], tool[closes:opens], atol=1e-6)
        np.testing.assert_allclose(left, np.repeat(tool[opens][None], len(tool), 0), atol=1e-6)
        assert [one.relative_to for one in proposal.segments] == [FREE, 0, FREE, 1]
    motions = demonstrated_motions(replace(given, objects=()), objects, proposals, "file")
    assert motions_parquet.from_parquet(motions_parquet.to_parquet(motions)) == motions


def refused(given: Demonstrations, message: str) -> None:
    with pytest.raises(DemonstrationError, match=message):
        propose(given, "file")


def test_what_can_not_be_told_is_said_by_name_with_what_to_write() -> None:
    def rolling(episode: Episode) -> Episode:
        base = episode.objects["base"].copy()
        base[:30, 0] += np.linspace(0, 0.2, 30)
        base[30:, 0] += 0.2
        return replace(episode, objects={**episode.objects, "base": base})

    refused(demonstrations(2, rolling), r"data/demo_0: 'base' moves from step \d+ on without the hand; write by hand")

    def open_all_along(episode: Episode) -> Episode:
        actions = episode.actions.copy()
        actions[:, 9] = -1
        objects = {name: np.repeat(poses[:1], len(poses), 0) for name, poses in episode.objects.items()}
        return replace(episode, actions=actions, objects=objects)

    refused(demonstrations(2, open_all_along), r"data/demo_0: the gripper takes and leaves nothing, .* \(--segments\)")
    bare = replace(demonstrations(2, open_all_along), objects=())
    refused(bare, r"data/demo_0: has neither poses of objects nor a gripper that closes, .* mapping \(objects\)")
    joints = replace(demonstrations(2), action_space="joint_position")
    objects, proposals = propose(demonstrations(2), "file")
    with pytest.raises(DemonstrationError, match="its actions are 'joint_position'; copies are made of tool poses"):
        demonstrated_motions(joints, objects, proposals, "file")


def test_a_file_of_segments_is_read_back_and_what_a_person_changed_is_meant(tmp_path: Path) -> None:
    given = demonstrations(COUNT)
    objects, proposals = propose(given, "file")
    path = tmp_path / "segments.toml"
    write_segments(objects, proposals, path)
    again = read_segments(path, objects, given, proposals)
    assert again[0] == objects
    assert [(one.name, one.segments, one.held) for one in again[1]] == [
        (one.name, one.segments, one.held) for one in proposals
    ]
    steps = len(given.episodes[0].actions)
    path.write_text(
        '[objects.block]\nyaw_symmetry = 2\n["data/demo_0"]\n'
        f'segments = [{{end = 20}}, {{end = {steps}, object = "fixed"}}]\nheld = []\n'
    )
    changed, chosen = read_segments(path, objects, given, proposals)
    assert changed == (MovedObject("block", 2), MovedObject("base", 4))
    assert [(one.name, one.segments, one.held) for one in chosen] == [
        ("data/demo_0", (Segment(20), Segment(steps, FIXED)), ())
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "is not TOML"),
        ('["data/demo_9"]\nsegments = [{end = 5}]', "data/demo_9: there is no such demonstration"),
        ('["data/demo_0"]\nsegments = [{end = 5}]', "must end in order of time, the last at 81"),
        ('["data/demo_0"]\nsegments = [{end = 81, object = "cup"}]', "there is no object 'cup', but block, base"),
        ('["data/demo_0"]\nsegments = [{end = 81, thing = "cup"}]', r"segments\.0\.thing: extra inputs"),
        ('["data/demo_0"]\nsegments = [{end = 81, turns_with = "x"}]', "should be 'object' or 'hand'"),
        ('["data/demo_0"]\nsegments = []', "at least 1 item"),
        ("[objects.cup]\nyaw_symmetry = 1", r"objects\.cup: the demonstrations have no such object"),
        ("[objects.block]\nyaw_symmetry = 0", r"objects\.block\.yaw_symmetry: input should be greater"),
        ('["data/demo_0"]\nsegments = [{end = 81}]\nheld = [{object = "block", first = 9, end = 5}]', "steps from 0"),
    ],
)
def test_mistakes_in_a_file_of_segments_are_named(text: str, message: str, tmp_path: Path) -> None:
    given = demonstrations(2)
    objects, proposals = propose(given, "file")
    path = tmp_path / "segments.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_segments(path, objects, given, proposals)
    with pytest.raises(ConfigError, match=r"nothing\.toml: can't be read"):
        read_segments(tmp_path / "nothing.toml", objects, given, proposals)


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    given = demonstrations(3)
    objects, proposals = propose(given, "file")
    draw_motions(demonstrated_motions(given, objects, proposals, "file"), tmp_path / "motions.png")
    assert (tmp_path / "motions.png").read_bytes()[:4] == b"\x89PNG"
