"""Check a dataset from its files alone."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""


def run(options: argparse.Namespace) -> int:
    """Serves."""
    raise NotImplementedError
