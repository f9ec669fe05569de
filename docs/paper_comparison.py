"""The paper's figures beside ours, which come from the kept run files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from docs.benchmark_tables import KEPT
from trainer.config import HeadConfig, HeadName
from trainer.data.action import POSE_DIM
from trainer.model.backbones import build_backbone
from trainer.recipe.result_tables import groups

REPORT = KEPT.parent / "cpu" / "report.json"


def comparison_table() -> list[str]:
    """What "Decoupled Action Head" (arXiv 2511.12101) and its code's README report, and what was measured here.

    Success is not of the same tasks, heads or demonstrations: only differences between modes can be compared.
    """
    return [*_success_table(), "", *_time_table(), "", *_encoder_table()]


def _success_table() -> list[str]:
    rates = _rates()
    backbones = f"{_weights('dp_c')} and {_weights('dp_mlp')}"
    rows = [
        ("success of `normal`", "63.6 ± 1.8 % (dp_c), 65.9 ± 0.7 % (dp_mlp)", rates["normal"]),
        ("success of `decoupled`", "62.2 ± 2.3 % (dp_c)", rates["decoupled"]),
        ("the same, Stage 1 on DROID", "63.8 % (dp_c)", "not run"),
        ("success of `normal` on LIBERO", "79.3 ± 0.6 % (dp_c), 84.7 ± 0.5 % (dp_mlp)", "not run"),
        ("success of `decoupled` on LIBERO", "76.8 ± 0.9 % (dp_c)", "not run"),
        ("the same on LIBERO, Stage 1 on DROID", "78.3 % (dp_c)", "not run"),
        ("success of `random_frozen`", "not published", rates["random_frozen"]),
        ("success of `random_body`", "not tried", rates["random_body"]),
        ("weights of dp_c's backbone, and of dp_mlp's", "244 M and 4 M", backbones),
    ]
    return _table(("", "the paper", "here"), rows)


def _time_table() -> list[str]:
    """The paper's times are of steps with two cameras."""
    seen = {"two cameras": "_images", "no cameras": ""}
    if "dp_c_normal_features_s_per_step" in _heads():
        seen["two cameras, frozen"] = "_features"
    ratios = (
        ("dp_c: a `normal` step takes", '"up to 41 % faster" when decoupled', "dp_c_normal_over_decoupled",
         "{:.2f} `decoupled` ones"),
        ("dp_mlp: a `decoupled` step takes", "-", "dp_mlp_decoupled_over_normal", "{:.2f} of a `normal` one"),
        ("`normal`: dp_mlp takes less time than dp_c by", '"83.9 % faster"', "dp_mlp_normal_less_time_than_dp_c",
         "{:.1%}"),
        ("`decoupled`: the same", '"89.1 % faster"', "dp_mlp_decoupled_less_time_than_dp_c", "{:.1%}"),
    )  # fmt: skip
    rows = [
        (what, theirs, *(words.format(_heads()[f"{figure}{suffix}"]) for suffix in seen.values()))
        for what, theirs, figure, words in ratios
    ]
    return _table(("", "the paper, two cameras", *(f"here, {images}" for images in seen)), rows)


def _encoder_table() -> list[str]:
    """What the cameras' networks cost, which every mode trains: steps with them beside steps without."""
    rows = []
    for head in ("dp_c", "dp_mlp"):
        for mode in ("normal", "decoupled"):
            without, seen = (_heads()[f"{head}_{mode}{suffix}_s_per_step"] for suffix in ("", "_images"))
            rows.append((f"`{head}`, `{mode}`", f"{seen:.3f} s", f"{without:.3f} s", f"{1 - without / seen:.0%}"))
    return _table(("a training step of", "with two cameras", "without", "the share of the cameras' networks"), rows)


def _heads() -> dict[str, float]:
    figures: dict[str, float] = _figures(KEPT / "heads.json")["figures"]
    return figures


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]


def _figures(path: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(path.read_text())
    return figures


def _rates() -> dict[str, str]:
    # The first of a mode is with the motion basis, where the report has one.
    found = reversed(groups(_figures(REPORT)["results"]))
    return {group.mode: f"{group.rate:.1%} of {group.episodes}" for group in found}


def _weights(head: HeadName) -> str:
    with torch.device("meta"):
        backbone = build_backbone(HeadConfig(head=head, size="paper", conditioning="film"), POSE_DIM)
    return f"{sum(weight.numel() for weight in backbone.parameters()):,}"
