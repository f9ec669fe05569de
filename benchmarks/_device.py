"""`--device` of the benchmarks that compute."""

import argparse

import torch

from shared.errors import ConfigError
from trainer.device import choose_device


def add_device(parser: argparse.ArgumentParser) -> None:
    """Gives a benchmark the option; its value is a torch device that is there."""

    def device(name: str) -> torch.device:
        try:
            return choose_device(name)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    text = (
        'to compute on: a torch device, or "auto" (default cpu); figures then wait until it has done what it was given'
    )
    parser.add_argument("--device", type=device, default="cpu", help=text)
