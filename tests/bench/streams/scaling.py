"""Later."""

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Later."""
    return 0
