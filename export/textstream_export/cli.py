"""`textstream-export train | export | evaluate | verify`: from labelled rows to a bundle that the service loads."""

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path

from textstream.errors import Misconfigured, TextstreamError

NEEDED = ("onnx", "sklearn", "torch", "tqdm")


def main(argv: list[str] | None = None) -> None:
    """Run a command; errors are one line and textstream's exit statuses."""
    arguments = _parser().parse_args(argv)
    try:
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise Misconfigured(f"{', '.join(missing)} not installed: pip install 'textstream[export]'")
        arguments.command(arguments)
    except TextstreamError as error:
        print(f"textstream-export: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


def _train(arguments: argparse.Namespace) -> None:
    from textstream_export.recipe import RECIPES
    from textstream_export.run import train

    recipe = RECIPES[arguments.recipe]
    train(arguments.data, recipe, arguments.out, packages=arguments.packages, soft=arguments.soft)


def _distil(arguments: argparse.Namespace) -> None:
    from textstream_export.distil import distil

    distil(arguments.data, arguments.teacher, arguments.out)


def _export(arguments: argparse.Namespace) -> None:
    from textstream_export.evaluate import Table
    from textstream_export.export import export

    print(Table(export(arguments.run, arguments.data, arguments.out).scores))


def _evaluate(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer
    from textstream_export.evaluate import Table, evaluate

    scores = evaluate(Scorer.load(arguments.bundle, device="cpu"), arguments.data)
    print(json.dumps(scores, indent=1) if arguments.json else Table(scores))


def _verify(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer

    info = Scorer.load(arguments.bundle, device="cpu").info
    print(f"{info['name']} {info['version']} {info['digest']}: digests and golden outputs match")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="textstream-export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a network by a recipe")
    train.add_argument("--data", type=Path, required=True, help="folder of the labelled rows")
    train.add_argument("--recipe", choices=["swift", "deep-en", "deep-zh"], default="swift")
    train.add_argument("--out", type=Path, required=True, help="folder for the run")
    train.add_argument("--packages", type=Path, help="folder of the package that a pretrained encoder comes in")
    train.add_argument("--soft", type=Path, help="folder of texts that teachers labelled (distil): train on those")
    train.set_defaults(command=_train)
    distil = commands.add_parser("distil", help="store what a teacher says of gold, unlabelled and changed texts")
    distil.add_argument("--data", type=Path, required=True, help="folder of the labelled and unlabelled rows")
    distil.add_argument("--teacher", type=Path, required=True, help="folder of the teacher's run; its language's texts")
    distil.add_argument("--out", type=Path, required=True, help="folder for the shards; more teachers may share it")
    distil.set_defaults(command=_distil)
    export = commands.add_parser("export", help="calibrate a run and write its bundle")
    export.add_argument("--run", type=Path, required=True, help="folder that train wrote")
    export.add_argument("--data", type=Path, required=True, help="folder of the labelled rows")
    export.add_argument("--out", type=Path, required=True, help="folder for the bundle")
    export.set_defaults(command=_export)
    evaluate = commands.add_parser("evaluate", help="score a bundle on the dev files")
    evaluate.add_argument("--bundle", default="swift", help="packaged name or folder")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of the labelled rows")
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.set_defaults(command=_evaluate)
    verify = commands.add_parser("verify", help="check a bundle's digests and golden outputs")
    verify.add_argument("--bundle", default="swift", help="packaged name or folder")
    verify.set_defaults(command=_verify)
    return parser


if __name__ == "__main__":
    main()
