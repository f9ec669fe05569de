"""The trajectories of a recipe: asked of the service, or given; and what the report says of them."""

import json

import numpy as np
from rich.console import Console

from shared.errors import ConfigError
from shared.manifest import DatasetHeader
from shared.remote_dataset import open_dataset
from trainer.data.demonstrations import read_demonstrations
from trainer.data.normalization import ActionNormalizer
from trainer.recipe import presets
from trainer.recipe.recipe_files import RecipeFiles
from trainer.recipe.recipe_options import RecipeOptions
from trainer.recipe.service import Service
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.robosuite_task import ROBOT
from trainer.tensor_file import publish


class Trajectories:
    """The dataset that Stage 1 is pretrained on.

    Attributes:
        location: its path or URL; "" where nothing needs it any more.
    """

    def __init__(self, files: RecipeFiles, service: Service, console: Console) -> None:
        """Asks for it, unless all that is taken from it is there, and writes its action range."""
        self._files, self._service, self._console = files, service, console
        # A finished Stage 1 needs no service any more, unless it was ended just before it was asked for its figures.
        left = self._taken() and files.dataset_summary.exists()
        self.location = "" if left else self._open()
        if self.location:
            self.leave()

    def leave(self) -> None:
        """Keeps what the report says of the dataset, and ends the service if this run started it.

        Once nothing needs it any more: Stage 1 is done, and so is the motion basis.
        """
        if not self._taken():
            return
        source = open_dataset(self.location, cache=self._files.shards)
        totals = source.state().commits.totals()
        summary = {
            "dataset_id": source.header.dataset_id,
            "robot": source.header.robot.name,
            "rate_hz": source.header.rate_hz,
            **{name: getattr(totals, name) for name in ("rows", "samples", "attempts", "rejections")},
        }
        publish(self._files.dataset_summary, json.dumps(summary).encode())
        if not any(plan.copies for plan in self._files.recipe.tasks):
            self._service.stop()

    def _taken(self) -> bool:
        return self._files.stage1_checkpoint.exists() and self._files.basis.exists()

    def _open(self) -> str:
        location = self._files.options.data or self._submit()
        header = open_dataset(location, cache=self._files.shards).header
        _check_fits(self._files.options, header)
        publish(self._files.action_range, json.dumps(header.action_range).encode())
        return location

    def _submit(self) -> str:
        """Submits the trajectory request; submitting it again finds the same job."""
        request = presets.trajectory_request(self._files.recipe)
        (self._files.folder / "request.json").write_text(json.dumps(request, indent=1))
        with self._service.client() as client:
            job = client.submit(request)
        url = f"{self._service.url}/v1/jobs/{job['id']}"
        text = f"[bold]dataset[/bold] {request['count']:,} trajectories: {url} ({job['state']})"
        self._console.print(text, soft_wrap=True)
        return url


def _check_fits(options: RecipeOptions, header: DatasetHeader) -> None:
    """Refuses demonstrations that Stage 2 could not use, before hours of Stage 1. Raises ConfigError."""
    robot, rate_hz, demos = ROBOT, CONTROL_RATE_HZ, options.demos
    if demos is not None:
        demonstrations = read_demonstrations(demos)
        robot, rate_hz = demonstrations.robot, demonstrations.rate_hz
        actions = np.concatenate([episode.actions for episode in demonstrations.episodes])
        ActionNormalizer(header.action_range).check(actions, f"the demonstrations of {demos}")
    if robot != header.robot.name and not options.other_robot:
        raise ConfigError(
            f"the demonstrations are of robot '{robot}', the trajectories of '{header.robot.name}'; generate "
            "trajectories of that robot, or pass --other-robot if its poses mean the same"
        )
    if rate_hz != header.rate_hz and not options.resample:
        raise ConfigError(
            f"the demonstrations are at {rate_hz:g} Hz, the trajectories at {header.rate_hz:g} Hz; pass --resample "
            "to interpolate the demonstrations, or generate trajectories at their rate"
        )
