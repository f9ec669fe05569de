"""`python -m trainer export`."""

from pathlib import Path

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.config import DIFFUSION_STEPS
from trainer.settings import check_number


def run(
    checkpoint: Positional[Path],
    out: Path,
    backbone: Path | None = None,
    sampling_steps: int | None = None,
    bundle: bool = False,
    directions: int | None = None,
    lerobot: bool = False,
    mapping: Path | None = None,
) -> None:
    """Export a policy as programs that torch runs without this package.

    Args:
        checkpoint: of Stage 2, or its run folder.
        out: folder to write.
        backbone: file of the backbone, if it isn't in the run's backbones/.
        sampling_steps: of the sampler; by default 10 of DDIM, or 2 of flow matching.
        bundle: also copy the checkpoint and its backbone: a run folder that needs no other file.
        directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
        lerobot: also write what LeRobot's --policy.path wants; it takes the plugin lerobot_policy_headstart.
        mapping: of the LeRobot data set that it was trained on: actions are then in that data set's units and order,
            which are the robot's in LeRobot.
    """
    check_number("--sampling-steps", sampling_steps, 1, DIFFUSION_STEPS)
    check_number("--directions", directions, 0)
    if mapping is not None and not lerobot:
        raise ConfigError("--mapping is of --lerobot: give both, or leave it out")
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping
    from trainer.deployment.export import export_policy
    from trainer.deployment.lerobot_files import LeRobotNames

    names = LeRobotNames(None if mapping is None else read_mapping(mapping)) if lerobot else None
    export_policy(
        checkpoint,
        out,
        backbone=backbone,
        sampling_steps=sampling_steps,
        bundle=bundle,
        directions=directions,
        lerobot=names,
    )
    print(f"exported: {out}")
