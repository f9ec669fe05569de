"""A policy's card on the Hub: what it is, its limits, what it was measured to do, and beside which controls."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.training.checkpoint_info import CheckpointInfo

_MOTION = {
    "chunk_jerk_m_per_s3": "median jerk of a chunk [m/s^3]",
    "demonstration_jerk_m_per_s3": "mean jerk of the demonstrations [m/s^3]",
    "border_jump_m": "jump between two chunks, 95th percentile [m]",
    "fast_commands": "share of commands that are faster than any demonstration",
}


def card(
    name: str,
    info: CheckpointInfo,
    checkpoint_hash: str,
    license_name: str,
    *,
    result: Mapping[str, Any] | None = None,
    controls: Sequence[Mapping[str, Any]] = (),
    audit: Mapping[str, Any] | None = None,
) -> str:
    """The text of README.md, in Markdown with the Hub's metadata before it.

    Args:
        name: of the repository.
        info: of the checkpoint.
        checkpoint_hash: sha256 of its file.
        license_name: as the Hub calls licences, such as apache-2.0.
        result: what `evaluate` wrote of it.
        controls: entries of a report's results that are of the same task.
        audit: what `python -m services audit --json` printed of the trajectories it was pretrained on.
    """
    sections = [
        _metadata(info, license_name),
        f"# {name}",
        _what(info, checkpoint_hash),
        "## Use\n\n" + _use(name, info, checkpoint_hash),
        "## Limits\n\n" + _limits(info),
        "## Audit\n\n" + _audit(info, audit),
        "## Figures\n\n" + _figures(info, result),
        "## Controls\n\n" + _controls(controls),
    ]
    return "\n\n".join(sections) + "\n"


def _metadata(info: CheckpointInfo, license_name: str) -> str:
    # Values are JSON's, which are YAML's: a robot's name may hold anything.
    tags = ["robotics", "headstart", info.robot, info.head.head, "action-head" if info.stage == 1 else "policy"]
    values = {"license": license_name, "library_name": "headstart", "pipeline_tag": "robotics", "tags": tags}
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---"])


def _what(info: CheckpointInfo, checkpoint_hash: str) -> str:
    head = info.head
    if info.stage == 1:
        what = f"An action head that was pretrained on {_motion(info)}. It sees no observations yet: adapt it."
    else:
        what = f"A policy of the task {info.task!r}, of mode `{info.mode}`."
    seen = ", ".join(f"`{key}` ({width})" for key, width in info.observation_widths.items()) or "nothing"
    cameras = ", ".join(f"`{name}` {one.size[0]} x {one.size[1]}" for name, one in info.cameras.items())
    pictures = f" ({info.picture_steps} in pictures)" if info.picture_steps != head.n_obs_steps else ""
    rows = {
        "robot": info.robot,
        "head": f"{head.head}, {head.size}, {head.conditioning}, predicts {head.prediction_type}",
        "actions": f"{head.action} ({info.action_label}), {info.rate_hz:g} Hz"
        + (", relative to the current state" if head.relative_actions else ""),
        "chunks": f"{head.horizon} steps from {head.n_obs_steps} observed{pictures}, {head.n_action_steps} carried out",
        "sees": seen + (f"; cameras {cameras}" if cameras else ""),
        "training": f"{info.step:,} steps, {info.seconds:,.0f} s on {info.device}",
        "checkpoint": f"sha256 `{checkpoint_hash}`",
        "backbone": f"sha256 `{info.backbone}`" if info.backbone else "in the checkpoint",
    }
    if info.stage1 is not None:
        names = ", ".join(f"`{one}`" for one in info.stage1.dataset_ids)
        rows["pretrained on"] = f"{_motion(info)}: {names}"
    return what + "\n\n" + _table(("", ""), [[key, value] for key, value in rows.items()])


def _motion(info: CheckpointInfo) -> str:
    """What its head was pretrained on."""
    recorded = info.stage1.recorded if info.stage1 is not None else None
    if not recorded:
        return "generated trajectories"
    assert info.stage1 is not None
    return "recorded motion" if len(recorded) == len(info.stage1.dataset_ids) else "generated and recorded motion"


def _use(name: str, info: CheckpointInfo, checkpoint_hash: str) -> str:
    then = (
        f"headstart adapt --stage1 runs/{name.partition('/')[2]} --demos ... --out runs/my-policy"
        if info.stage == 1
        else f"headstart policy runs/{name.partition('/')[2]}"
    )
    fetch = f"headstart fetch {name} --out runs/{name.partition('/')[2]} --sha256 {checkpoint_hash}"
    return f"```\n{fetch}\n{then}\n```\n\nThe files are safetensors: numbers, and no code."


def _limits(info: CheckpointInfo) -> str:
    ranges = [[key, _numbers(one["min"]), _numbers(one["max"])] for key, one in sorted(info.action_range.items())]
    said = "Actions outside this range can't be predicted (m, rad):\n\n" + _table(("", "least", "most"), ranges)
    limits = info.joint_limits
    if limits is None:
        return said + "\n\nThe arm's joint limits were not recorded with it: nothing was checked against them."
    rows = [[key, _numbers(values)] for key, values in limits.items()]
    return said + "\n\nThe arm's joints, as its dataset has them (rad, s):\n\n" + _table(("limit", "each joint"), rows)


def _audit(info: CheckpointInfo, audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return "No audit of what it was pretrained on was given."
    checks = [
        [str(one["name"]), f"{one['checked']:,}", f"{one['violations']:,}"] for one in audit["checks"] if one["checked"]
    ]
    said = f"Of the trajectories it was pretrained on ({audit['rows']:,} rows): {audit['violations']:,} violations.\n\n"
    return said + _table(("check", "checked", "violations"), checks)


def _figures(info: CheckpointInfo, result: Mapping[str, Any] | None) -> str:
    rows = []
    if result is not None:
        rate = result["successes"] / result["episodes"]
        rows.append(["successes in simulation", f"{result['successes']} of {result['episodes']} ({rate:.0%})"])
        rows += [[words, f"{result[key]:.4g}"] for key, words in _MOTION.items() if result.get(key) is not None]
    rows += [[f"held out: {key}", f"{value:.4g}"] for key, value in (info.held_out or {}).items()]
    return _table(("", ""), rows) if rows else "It was not measured."


def _controls(controls: Sequence[Mapping[str, Any]]) -> str:
    if not controls:
        return "None were given: nothing here says that pretraining helped."
    rows = [
        [
            str(one["mode"]),
            str(one["demonstrations"]),
            str(one["seed"]),
            f"{one['successes']} of {one['episodes']}",
        ]
        for one in controls
    ]
    words = (
        "The same task in other modes: `normal` is an ordinary diffusion policy, `random_body` and `random_frozen` are "
        "what a claim about pretraining has to beat.\n\n"
    )
    return words + _table(("mode", "demonstrations", "seed", "successes"), rows)


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
