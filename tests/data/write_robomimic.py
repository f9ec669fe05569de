"""Writes the robomimic fixture with robosuite's recorder and robomimic's own scripts (README.md).

    python write_robomimic.py ROBOMIMIC OUT     # ROBOMIMIC: a checkout of robomimic, which its scripts are run from

Two demonstrations of robosuite's Lift by a simple script in the delta actions of OSC_POSE, low-dimensional and with two
cameras of 32 x 32. robomimic adds absolute actions, masks, and the observations that it plays back.
"""

import json
import lzma
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import robosuite
from robosuite.controllers import load_composite_controller_config
from robosuite.scripts.collect_human_demonstrations import gather_demonstrations_as_hdf5
from robosuite.wrappers import DataCollectionWrapper

DEMOS = 2
CAMERAS = ("agentview", "robot0_eye_in_hand")


def record(folder: Path) -> Path:
    """robosuite's demo.hdf5."""
    arguments = {
        "env_name": "Lift",
        "robots": ["Panda"],
        "controller_configs": load_composite_controller_config(controller="BASIC", robot="Panda"),
        "control_freq": 20,
    }
    env = robosuite.make(
        **arguments, has_renderer=False, has_offscreen_renderer=False, use_camera_obs=False, ignore_done=True, seed=1
    )
    wrapped = DataCollectionWrapper(env, str(folder / "raw"))
    for _ in range(DEMOS):
        pick(wrapped)
    wrapped.close()
    gather_demonstrations_as_hdf5(str(folder / "raw"), str(folder), json.dumps(arguments))
    return folder / "demo.hdf5"


def pick(env: Any) -> None:
    """One demonstration: over the cube, down, close, up."""
    observation = env.reset()
    # As robosuite's own collection does, so that the recorder knows this model.
    env.start_new = True
    for height, steps, gripper in ((0.06, 14, -1.0), (0.0, 10, -1.0), (0.0, 5, 1.0), (0.1, 12, 1.0)):
        target = observation["cube_pos"] + [0, 0, height]
        for _ in range(steps):
            shift = np.clip((target - observation["robot0_eef_pos"]) / 0.05, -1, 1)
            observation, *_ = env.step(np.concatenate([shift, np.zeros(3), [gripper]]))


def observe(robomimic: Path, demo: Path) -> Path:
    """robomimic's conversion of it, with observations."""
    scripts = robomimic / "robomimic" / "scripts"
    run(
        scripts / "conversion" / "convert_robosuite.py", "--dataset", demo, "--add_absolute_actions", "--num_workers", 1
    )
    run(
        *(scripts / "dataset_states_to_obs.py", "--dataset", demo, "--output_name", "image.hdf5", "--done_mode", 2),
        *("--camera_names", *CAMERAS, "--camera_height", 32, "--camera_width", 32),
        "--exclude-next-obs",
    )
    return demo.with_name("image.hdf5")


def run(script: Path, *arguments: object) -> None:
    """Runs one of robomimic's scripts."""
    subprocess.run([sys.executable, str(script), *map(str, arguments)], check=True)


def main() -> None:
    """Writes OUT, an xz file: scenes and backgrounds repeat themselves."""
    robomimic, out = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        image = observe(robomimic, record(Path(folder)))
        with h5py.File(image, "r+") as file:
            for demo in file["data"].values():
                # Where robosuite's meshes lay is nobody's business.
                text = demo.attrs["model_file"].replace(str(Path(robosuite.__file__).parent), "robosuite")
                demo.attrs["model_file"] = text
        out.write_bytes(lzma.compress(image.read_bytes(), preset=9))
    print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
