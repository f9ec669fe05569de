"""What commands import: no more than they use, and nothing that the extra `trainer` does not install."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT
from tests.trainer.data.demonstrations.written import LIFT, unpack_lift
from tests.trainer.example import make_dataset
from tests.trainer.policies import serving
from trainer.commands import adapt, summarize
from trainer.data.demonstrations.formats.frame_cache import MOST_BYTES
from trainer.data.summarize import HELD_OUT, HORIZON, WINDOWS

FOREIGN = (
    "mujoco", "robosuite", "numba", "diffusers", "ray", "pinocchio", "coal", "ruckig", "cv2", "fastapi", "qpsolvers",
    "prometheus_client", "pydantic_settings",
)  # fmt: skip
"""Installed by other extras alone."""

WITHOUT = f"""
import json, sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {FOREIGN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from trainer.__main__ import main
"""

HELP = """
import contextlib, io, sys, time
from trainer.__main__ import main
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main()
assert "usage: " in said.getvalue()
heavy = sorted({"torch", "numpy", "pyarrow", "scipy", "matplotlib"} & sys.modules.keys())
print(time.process_time(), *heavy)
"""

TINY = "--size tiny --steps 2 --batch-size 4 --compile off --device cpu --no-tensorboard --validation-windows 4"


def run(script: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", ["", "adapt", "pretrain", "serve", "train", "replay"])
def test_help_takes_less_than_a_second_of_a_cpu(command: str) -> None:
    seconds, *heavy = run(HELP, *command.split(), "--help").split()
    assert not heavy
    assert float(seconds) < 1


def test_pretraining_imports_no_readers_of_demonstrations_and_no_signal_processing(tmp_path: Path) -> None:
    """Each takes half a second, which pretraining on one of our datasets does not need."""
    make_dataset(tmp_path / "data")
    pretrain = f"pretrain --data {tmp_path}/data --out {tmp_path}/stage1 --validation-share 0.3 {TINY}"
    script = "import sys\nfrom trainer.__main__ import main\nassert not main()\n"
    script += "print(*sorted({'av', 'h5py', 'scipy.signal', 'scipy.stats', 'scipy.spatial'} & sys.modules.keys()))"
    assert run(script, *pretrain.split()).splitlines()[-1] == ""


def test_what_trains_and_serves_needs_the_trainers_extra_alone(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    unpack_lift(tmp_path)
    wide = {"position": {"min": [-2.0] * 3, "max": [2.0] * 3}, "joint_position": {"min": [-4.0] * 2, "max": [4.0] * 2}}
    (tmp_path / "range.json").write_text(json.dumps(wide))
    (tmp_path / "mapping.json").write_text(json.dumps(LIFT))
    demonstrations = f"lift.hdf5 --mapping {tmp_path}/mapping.json"
    commands = [
        f"pretrain --data {tmp_path}/data --out {tmp_path}/stage1 --action-range {tmp_path}/range.json {TINY}",
        f"inspect {tmp_path}/{demonstrations}",
        f"adapt --demos {tmp_path}/{demonstrations} --out {tmp_path}/stage2 --stage1 {tmp_path}/stage1 "
        f"--other-robot {TINY}",
        f"export {tmp_path}/stage2 --out {tmp_path}/exported",
    ]
    each = "for line in json.loads(sys.argv[1]):\n    sys.argv = ['', *line.split()]\n    assert not main(), line"
    run(f"{WITHOUT}{each}", json.dumps(commands))
    assert (tmp_path / "exported" / "denoise.pt2").exists()
    (tmp_path / "serving.py").write_text(f"{WITHOUT}sys.exit(main())")
    with serving(tmp_path / "stage2", tmp_path, launcher=(str(tmp_path / "serving.py"),)) as url:
        assert url.startswith("http://127.0.0.1:")


def test_defaults_that_are_written_twice_are_the_same() -> None:
    defaults = {name: given.default for name, given in inspect.signature(summarize.run).parameters.items()}
    assert (defaults["held_out"], defaults["windows"], defaults["horizon"]) == (HELD_OUT, WINDOWS, HORIZON)
    assert inspect.signature(adapt.run).parameters["frames_gb"].default * 1e9 == MOST_BYTES
