"""The paper's figures beside ours, which come from the kept run files."""

import json
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
    heads, rates = _figures(KEPT / "heads.json")["figures"], _rates()
    backbones = f"{_weights('dp_c')} and {_weights('dp_mlp')}"
    slower, share = heads["dp_c_normal_over_decoupled"], heads["dp_mlp_decoupled_over_normal"]
    saved = [f"{heads[f'dp_mlp_{mode}_less_time_than_dp_c']:.1%}" for mode in ("normal", "decoupled")]
    rows = [
        ("success of `normal`", "63.6 ± 1.8 % (dp_c), 65.9 ± 0.7 % (dp_mlp)", rates["normal"]),
        ("success of `decoupled`", "62.2 ± 2.3 % (dp_c)", rates["decoupled"]),
        ("success of `random_frozen`", "not published", rates["random_frozen"]),
        ("success of `random_body`", "not tried", rates["random_body"]),
        ("weights of dp_c's backbone, and of dp_mlp's", "244 M and 4 M", backbones),
        ("dp_c: a `normal` step takes", "up to 1.41 `decoupled` ones", f"{slower:.2f} `decoupled` ones"),
        ("dp_mlp: a `decoupled` step takes", "-", f"{share:.2f} of a `normal` one"),
        ("`normal`: dp_mlp takes less time than dp_c by", "83.9 %", saved[0]),
        ("`decoupled`: the same", "89.1 %", saved[1]),
    ]
    lines = ["| | the paper | here |", "|---|---|---|"]
    return lines + [f"| {what} | {theirs} | {ours} |" for what, theirs, ours in rows]


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
