"""Whether a machine that has gone without a word holds a job up; tests/test_machines.py loses machines in earnest."""

from services.engine.lost_machines import SILENT_S, LostMachines


def test_what_was_in_the_making_when_a_machine_was_lost_is_given_time() -> None:
    machines, running = LostMachines(), {1: object(), 2: object()}
    assert not machines.hold_up({"a", "b"}, running, 100.0)
    assert not machines.hold_up({"a"}, running, 102.0)
    del running[1]
    assert not machines.hold_up({"a"}, running, 102.0 + SILENT_S - 0.1)
    assert machines.hold_up({"a"}, running, 102.0 + SILENT_S)


def test_what_ended_meanwhile_or_was_begun_since_is_not_held_up() -> None:
    machines = LostMachines()
    assert not machines.hold_up({"a", "b"}, {1: object()}, 0.0)
    assert not machines.hold_up({"a"}, {1: object()}, 1.0)
    # Another try of the same shard, and another shard.
    for now in (2.0, 1.0 + SILENT_S, 100.0):
        assert not machines.hold_up({"a", "c"}, {1: object(), 2: object()}, now)


def test_machines_that_come_or_go_while_nothing_is_made_are_nobodys_loss() -> None:
    machines, running = LostMachines(), {1: object()}
    assert not machines.hold_up({"a", "b"}, running, 0.0)
    assert not machines.hold_up(set(), {}, 1.0)
    assert not machines.hold_up({"a"}, running, 2.0)
    assert not machines.hold_up({"a", "c"}, running, 3.0)
    assert not machines.hold_up({"a", "c"}, running, 3.0 + SILENT_S)


def test_a_second_loss_gives_time_again() -> None:
    machines, running = LostMachines(), {1: object()}
    assert not machines.hold_up({"a", "b", "c"}, running, 0.0)
    assert not machines.hold_up({"a", "b"}, running, 1.0)
    assert not machines.hold_up({"a"}, running, 5.0)
    assert not machines.hold_up({"a"}, running, 1.0 + SILENT_S)
    assert machines.hold_up({"a"}, running, 5.0 + SILENT_S)
