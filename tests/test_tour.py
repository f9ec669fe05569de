"""The tour leads to files that are there."""

import re

from tests.pages import ROOT


def test_every_file_and_folder_of_the_tour_is_there() -> None:
    text = (ROOT / "docs" / "tour.md").read_text()
    named = re.findall(r"`((?:services|shared|trainer)/[\w/.]*)`", text)
    assert len(named) >= 15
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert sum(len((ROOT / name).read_text().splitlines()) > 400 for name in named if name.endswith(".py")) == 0
