"""robosuite, imported quietly, and its Panda under absolute pose control."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

CONTROL_RATE_HZ = 20.0
CONTROL_STIFFNESS = 150.0  # kp of the operational space controller [1/s^2]; critically damped

# A model is compiled with this seed, whatever the episode: robosuite draws the size of Lift's cube when it
# builds the model, and one model is shared by every episode.
_MODEL_SEED = 0


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Silences what robosuite says while it is imported, and undoes what it does to the environment.

    It warns about optional parts that are of no use here, and it sets MUJOCO_GL=egl: inherited by a child
    process, that makes `import mujoco` fail on a machine without EGL.
    """
    logger = logging.getLogger("robosuite_logs")
    logger.addFilter(_only_errors)  # A filter, because robosuite sets the level itself.
    graphics = os.environ.get("MUJOCO_GL")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if graphics is None:
            os.environ.pop("MUJOCO_GL", None)
        else:
            os.environ["MUJOCO_GL"] = graphics


def _only_errors(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def panda_arguments() -> dict[str, Any]:
    """Keyword arguments of `robosuite.make` for a Panda driven by absolute poses of its grip site in the world.

    Plain values only, so that they can be stored with demonstrations and given to `robosuite.make` again.
    """
    arm = {
        "type": "OSC_POSE",
        "input_type": "absolute",
        "input_ref_frame": "world",
        "input_max": 1,
        "input_min": -1,
        "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
        "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
        "kp": CONTROL_STIFFNESS,
        "damping_ratio": 1,
        "impedance_mode": "fixed",
        "kp_limits": [0, 300],
        "damping_ratio_limits": [0, 10],
        "position_limits": None,
        "orientation_limits": None,
        "uncouple_pos_ori": True,
        "interpolation": None,
        "ramp_ratio": 0.2,
        "gripper": {"type": "GRIP"},
    }
    return {
        "robots": "Panda",
        "controller_configs": {"type": "BASIC", "body_parts": {"right": arm}},
        "control_freq": CONTROL_RATE_HZ,
        "hard_reset": False,
        "has_renderer": False,
        "has_offscreen_renderer": False,
        "use_camera_obs": False,
        "ignore_done": True,
        "seed": _MODEL_SEED,
    }


def make_robosuite(env_name: str, **arguments: Any) -> Any:
    """A robosuite environment with the arguments of `panda_arguments()`, updated by `arguments`."""
    with quiet_import():
        import robosuite

        return robosuite.make(env_name, **(panda_arguments() | arguments))
