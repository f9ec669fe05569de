"""benchmarks.peers where a peer is missing; its figures are kept by `python -m docs.keep peers`."""

import importlib.util

import pytest

from benchmarks.peers import __main__ as peers


def test_a_missing_peer_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"eaik", "frankik", "roboplan"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in there else None)
    with pytest.raises(SystemExit) as leaving:
        peers.check_installed()
    assert leaving.value.code == "benchmarks.peers needs ssik, toppra: pip install -e '.[peers]'"
