"""Serve the REST API: take requests, make their datasets, hand out shards while they are made."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""


def run(options: argparse.Namespace) -> int:
    """Serves."""
    raise NotImplementedError
