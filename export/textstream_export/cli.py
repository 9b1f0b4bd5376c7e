"""`textstream-export COMMAND`: from labelled rows to a bundle that the service loads, and how good it is."""

import argparse
import json
import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from textstream.errors import Misconfigured, TextstreamError
from textstream.model.cpus import limit_threads, usable_cpus
from textstream_export.recipe import RECIPES, Recipe

if TYPE_CHECKING:
    from textstream_export.data import Row
    from textstream_export.measures import Scores

NEEDED = ("gensim", "onnx", "sklearn", "torch", "tqdm", "torchmetrics", "nervaluate", "matplotlib")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

LABELS_OF_YOUR_OWN = """\
Your own labels are a file of JSON lines or CSV, in UTF-8, a text and what is said of it on each line:

  {"text": "the update broke my build", "label": "negative"}
  {"text": "great docs, slow CLI", "aspects": [{"begin": 6, "end": 10, "sentiment": "positive"}]}
  {"text": "cannot log in since the last update", "label": "negative", "terms": ["last update"]}

label is negative, neutral or positive; terms are phrases of the text; aspects are places in it, [begin, end) in code points,
with the sentiment towards each. A CSV file begins with a line that names its columns: text,label. What a line leaves out is
not taught. A part of the lines, chosen by a hash of their text, is kept from training and calibrates the exported bundle.
"""


def main(argv: list[str] | None = None) -> None:
    """Run a command; errors are one line and textstream's exit statuses."""
    arguments = _parser().parse_args(argv)
    limit_threads(os.environ)
    try:
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise Misconfigured(f"{', '.join(missing)} not installed: pip install 'textstream[export]'")
        arguments.command(arguments)
    except TextstreamError as error:
        print(f"textstream-export: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except OSError as error:
        print(f"textstream-export: {error}", file=sys.stderr)
        sys.exit(Misconfigured.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


def _train(arguments: argparse.Namespace) -> None:
    from textstream_export import adapt, own
    from textstream_export.restore import begun
    from textstream_export.run import train

    folders = {"packages": arguments.packages, "words": arguments.words, "soft": arguments.soft}
    if own.is_own(arguments.data):
        if arguments.recipe or arguments.begin or any(folders.values()) or arguments.seed is not None:
            raise Misconfigured(
                f"{arguments.data} holds labels of your own: they train --bundle, without a recipe or its options"
            )
        if arguments.device == "cuda":
            raise Misconfigured("labels of your own train on the CPU, in minutes: leave --device out")
        adapt.train(arguments.data, arguments.bundle or "swift", arguments.out)
    else:
        if arguments.bundle:
            raise Misconfigured("--bundle goes with labels of your own: name a .jsonl or .csv file of them with --data")
        recipe = _recipe(arguments.recipe or "swift", arguments.seed)
        if recipe.heads_alone:
            _train_heads(arguments, recipe)
            return
        train(
            arguments.data,
            recipe,
            arguments.out,
            **folders,
            begin=begun(arguments.begin, arguments.out, recipe.languages) if arguments.begin else None,
            device=_device(arguments),
            workers=arguments.workers or usable_cpus(),
        )


def _train_heads(arguments: argparse.Namespace, recipe: Recipe) -> None:
    from textstream_export.heads import train_heads
    from textstream_export.restore import begun

    if arguments.begin is None or arguments.packages or arguments.words or arguments.soft:
        raise Misconfigured(f"{arguments.recipe} trains heads alone: name their run with --from, and no other folder")
    if arguments.device == "cuda":
        raise Misconfigured("heads train on the CPU, in minutes: leave --device out")
    train_heads(begun(arguments.begin, arguments.out, recipe.languages), arguments.data, recipe, arguments.out)


def _recipe(name: str, seed: int | None) -> Recipe:
    """A recipe by its name, with another seed where one is given: 0 is one."""
    return RECIPES[name] if seed is None else replace(RECIPES[name], seed=seed)


def _words(arguments: argparse.Namespace) -> None:
    from textstream_export.run import find_words

    find_words(arguments.data, RECIPES[arguments.recipe], arguments.out)


def _distil(arguments: argparse.Namespace) -> None:
    from textstream_export.distil import distil

    computing = _device(arguments), arguments.workers or usable_cpus()
    distil(arguments.data, arguments.teacher, arguments.out, *computing, words=arguments.words)


def _export(arguments: argparse.Namespace) -> None:
    from textstream_export import adapt
    from textstream_export.export import export
    from textstream_export.report import headlines, tables
    from textstream_export.run import load

    if load(arguments.run[0]).recipe.start == adapt.RECIPE.start:
        if len(arguments.run) > 1 or arguments.base:
            raise Misconfigured(f"{arguments.run[0]} was trained on labels of your own: export it alone, without --base")
        manifest = adapt.export(arguments.run[0], arguments.data, arguments.out)
        print(tables({manifest.name: manifest.scores}))
    else:
        manifest = export(arguments.run, arguments.data, arguments.out, arguments.base)
        print(headlines({manifest.name: manifest.scores}))


def _calibrate(arguments: argparse.Namespace) -> None:
    from textstream_export import adapt
    from textstream_export.report import tables

    manifest = adapt.recalibrate(arguments.bundle, arguments.data, arguments.out)
    print(tables({manifest.name: manifest.scores}))


def _reference(arguments: argparse.Namespace) -> None:
    from textstream_export.reference import add

    told = add(arguments.bundle, arguments.data).reference
    assert told is not None, "a reference was measured"
    shares = ", ".join(f"{code} {share:.1%}" for code, share in told.languages.items())
    print(f"measured on {told.texts:,} messages: {shares}")


def _evaluate(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer
    from textstream_export.evaluate import group, judge, rows_that_score, scores_of
    from textstream_export.report import headlines, read_report, rows_digest, tables

    scorer = Scorer.load(arguments.bundle, device=arguments.device)
    rows = rows_that_score(arguments.data)
    groups = group(rows, arguments.data)
    verdicts = judge(scorer, rows)
    columns = {scorer.info["name"]: scores_of(verdicts, groups)}
    if arguments.baselines:
        columns |= _baselines(arguments.data, rows, groups)
    if arguments.beside:
        columns |= {who: scores for who, scores in read_report(arguments.beside, rows).items() if who not in columns}
    if arguments.plots:
        from textstream_export.plots import plot_verdicts

        plot_verdicts(verdicts, groups, arguments.plots)
    said = f"{headlines(columns)}\n{tables(columns)}"
    report = json.dumps({"model": scorer.info, "rows": rows_digest(rows), "scores": columns}, indent=1)
    if arguments.out:
        _write({arguments.out.with_suffix(".json"): report, arguments.out.with_suffix(".md"): said})
    print(report if arguments.json else said)


def _baselines(data: Path, rows: "list[Row]", groups: dict[str, list[int]]) -> "dict[str, Scores]":
    from textstream_export.baselines import baselines
    from textstream_export.data import read_train, split_held_out

    if not data.is_dir():
        raise Misconfigured(f"--baselines are fitted on train rows: name their folder with --data, {data} is one file")
    return baselines(split_held_out(read_train(data))[0], rows, groups)


def _compare(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer
    from textstream_export.compare import as_json, as_markdown, compare, flips
    from textstream_export.evaluate import group, judge, rows_that_score

    rows = rows_that_score(arguments.data)
    groups = group(rows, arguments.data)
    first, second = (judge(Scorer.load(name, device=arguments.device), rows) for name in (arguments.first, arguments.second))
    differences = compare(first, second, groups, arguments.seed)
    flipped = [flip for name, places in groups.items() for flip in flips(first, second, places, name, arguments.examples)]
    names = arguments.first, arguments.second
    said, report = as_markdown(*names, differences, flipped), json.dumps(as_json(*names, differences, flipped), indent=1)
    if arguments.out:
        _write({arguments.out.with_suffix(".json"): report, arguments.out.with_suffix(".md"): said})
    print(report if arguments.json else said)


def _cascade(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer
    from textstream_export.cascade import measure, plot

    swift, deep = (Scorer.load(bundle, device="cpu") for bundle in (arguments.swift, arguments.deep))
    curve = measure(swift, deep, arguments.data)
    report = {"swift": swift.info, "deep": deep.info, **curve.as_json()}
    _write({arguments.out / "cascade.json": json.dumps(report, indent=1), arguments.out / "cascade.md": curve.as_markdown()})
    plot(curve, arguments.out / "cascade.svg")
    print(f"{curve.as_markdown()}\n\nmodel.cascade_margin = {curve.chosen.margin:g}")


def _encoders(arguments: argparse.Namespace) -> None:
    from textstream_export.encoder_table import COMPARED, PRETRAINED, compare_encoders

    names = arguments.only or [name for name in COMPARED if arguments.packages or name != PRETRAINED]
    if unknown := [name for name in names if name not in COMPARED]:
        raise Misconfigured(f"no encoder {', '.join(unknown)}: --only takes {', '.join(map(repr, COMPARED))}")
    if not 0 < arguments.share <= 1:
        raise Misconfigured(f"--share is {arguments.share}, but a part of the rows is more than 0 and at most 1")
    said = compare_encoders(arguments.data, arguments.out, arguments.share, names, arguments.packages)
    _write({arguments.out / "encoders.md": said})
    print(said)


def _coverage(arguments: argparse.Namespace) -> None:
    from textstream_export.coverage import as_markdown, coverage, read_termed

    print(as_markdown(coverage(read_termed(arguments.data)), arguments.examples))


def _decoders(arguments: argparse.Namespace) -> None:
    from textstream_export.viterbi import compare_on

    print(compare_on(arguments.run, arguments.data))


def _behaviour(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer
    from textstream_export.behaviour import ceilings, run, shown

    report = run(Scorer.load(arguments.bundle, device="cpu"))
    as_json = json.dumps(ceilings(report), indent=1, ensure_ascii=False)
    print(as_json if arguments.ceilings else shown(report, arguments.failures))


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise Misconfigured(f"cannot write {path}: {error.strerror}; name another place with --out") from None


def _verify(arguments: argparse.Namespace) -> None:
    from textstream.model.scorer import Scorer

    info = Scorer.load(arguments.bundle, device="cpu").info
    print(f"{info['name']} {info['version']} {info['digest']}: digests and golden outputs match")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="textstream-export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_training, _add_bundles, _add_measurements, _add_studies):
        add(commands)
    return parser


def _add_training(commands: Commands) -> None:
    """What makes weights."""
    train = commands.add_parser(
        "train",
        help="train a network by a recipe, or a bundle's on your own labels",
        description=LABELS_OF_YOUR_OWN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("--data", type=Path, required=True, help="your labels, .jsonl or .csv; or folder of the labelled rows")
    train.add_argument("--bundle", help="the bundle that your labels train: packaged name or folder (swift)")
    train.add_argument("--recipe", choices=RECIPES, help="what a folder of rows trains (swift)")
    train.add_argument("--out", type=Path, required=True, help="folder for the run")
    train.add_argument("--packages", type=Path, help="folder of the package that a pretrained encoder comes in")
    train.add_argument("--words", type=Path, help="file of words and vectors to start from (words), in place of finding them")
    train.add_argument("--soft", type=Path, help="folder of texts that teachers labelled (distil): train on those")
    train.add_argument("--seed", type=_natural, help="in place of the recipe's own")
    train.add_argument("--from", dest="begin", type=Path, help="a finished run, or a bundle, to go on from")
    _computing(train)
    train.set_defaults(command=_train)

    words = commands.add_parser(
        "words", help="find the words of all texts and vectors for them, for several runs to start from"
    )
    words.add_argument("--data", type=Path, required=True, help="folder of the labelled and unlabelled rows")
    words.add_argument("--recipe", choices=RECIPES, default="swift", help="whose words they are (swift)")
    words.add_argument("--out", type=Path, required=True, help="file for them")
    words.set_defaults(command=_words)

    distil = commands.add_parser("distil", help="store what a teacher says of gold, unlabelled and changed texts")
    distil.add_argument("--data", type=Path, required=True, help="folder of the labelled and unlabelled rows")
    distil.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        required=True,
        help="folders of the teachers, runs or bundles; several of a language answer together",
    )
    distil.add_argument("--words", type=Path, help="file of words and vectors (words): words become others like them")
    distil.add_argument("--out", type=Path, required=True, help="folder for the shards; more teachers may share it")
    _computing(distil)
    distil.set_defaults(command=_distil)


def _add_bundles(commands: Commands) -> None:
    """What makes and checks bundles."""
    export = commands.add_parser("export", help="calibrate a run and write its bundle")
    export.add_argument("--run", type=Path, nargs="+", required=True, help="folder that train wrote; deep has one a language")
    export.add_argument("--data", type=Path, required=True, help="what the run was trained on: your labels, or the folder")
    export.add_argument("--out", type=Path, required=True, help="folder for the bundle")
    export.add_argument("--base", type=Path, help="a bundle whose networks stay, in the languages that no run is of")
    export.set_defaults(command=_export)

    calibrate = commands.add_parser(
        "calibrate",
        help="calibrate a bundle on your own labels, without training",
        description=LABELS_OF_YOUR_OWN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    calibrate.add_argument("--bundle", default="swift", help="packaged name or folder (swift)")
    calibrate.add_argument("--data", type=Path, required=True, help="your labels, .jsonl or .csv")
    calibrate.add_argument("--out", type=Path, required=True, help="folder for the new bundle")
    calibrate.set_defaults(command=_calibrate)

    reference = commands.add_parser("reference", help="measure what messages are like, for a worker to tell when they change")
    reference.add_argument("--bundle", required=True, help="folder of the bundle; its manifest is written anew")
    reference.add_argument(
        "--data", type=Path, required=True, help='your messages, lines of {"text": …}; or folder of the rows'
    )
    reference.set_defaults(command=_reference)

    verify = commands.add_parser("verify", help="check a bundle's digests and golden outputs")
    verify.add_argument("--bundle", default="swift", help="packaged name or folder")
    verify.set_defaults(command=_verify)


def _add_measurements(commands: Commands) -> None:
    """What tells how good a bundle is."""
    evaluate = commands.add_parser("evaluate", help="score a bundle on the rows that train nothing: every measure, by source")
    evaluate.add_argument("--bundle", default="swift", help="packaged name or folder")
    evaluate.add_argument("--baselines", action="store_true", help="beside it linear models and the majority answer (minutes)")
    evaluate.add_argument("--beside", type=Path, metavar="FILE", help="show who was scored in an earlier --out FILE too")
    evaluate.add_argument("--plots", type=Path, metavar="DIR", help="draw confusion and reliability of each source there")
    _judging(evaluate)
    evaluate.set_defaults(command=_evaluate)

    compare = commands.add_parser("compare", help="the difference of two bundles, by source, with its significance")
    compare.add_argument("first", metavar="A", help="packaged name or folder")
    compare.add_argument("second", metavar="B", help="packaged name or folder; differences are B minus A")
    compare.add_argument(
        "--examples", type=_natural, default=0, metavar="N", help="show N rows of a source that flipped each way"
    )
    compare.add_argument("--seed", type=_natural, default=20261123, help="of the randomisation and the bootstrap")
    _judging(compare)
    compare.set_defaults(command=_compare)

    cascade = commands.add_parser("cascade", help="what sending on the messages that swift is unsure of gains and costs")
    cascade.add_argument("--swift", default="swift", help="packaged name or folder of the fast bundle")
    cascade.add_argument("--deep", required=True, help="folder of the better bundle")
    cascade.add_argument("--data", type=Path, required=True, help="folder of the labelled rows, or one file of rows or labels")
    cascade.add_argument("--out", type=Path, required=True, help="folder for cascade.json, cascade.md and cascade.svg")
    cascade.set_defaults(command=_cascade)

    behaviour = commands.add_parser("behaviour", help="how often a bundle fails cases written by hand, by what they ask")
    behaviour.add_argument("--bundle", default="swift", help="packaged name or folder (swift)")
    behaviour.add_argument("--failures", type=_natural, default=0, metavar="N", help="show N failed cases of each template too")
    behaviour.add_argument("--ceilings", action="store_true", help="print the ceilings that tests hold a bundle to, as JSON")
    behaviour.set_defaults(command=_behaviour)


def _add_studies(commands: Commands) -> None:
    """What tells why swift is made as it is."""
    encoders = commands.add_parser("encoders", help="train every encoder on the same rows: a table of scores against rates")
    encoders.add_argument("--data", type=Path, required=True, help="folder of the labelled and unlabelled rows")
    encoders.add_argument("--out", type=Path, required=True, help="folder for the runs and encoders.md")
    encoders.add_argument("--share", type=float, default=0.06, help="part of the train rows that each is trained on")
    encoders.add_argument("--packages", type=Path, help="folder of the packages that pretrained encoders come in: those too")
    encoders.add_argument("--only", nargs="+", metavar="NAME", help="some of them, as the table names them")
    encoders.set_defaults(command=_encoders)

    coverage = commands.add_parser("coverage", help="how many gold spans the tokens can represent, by source")
    coverage.add_argument("--data", type=Path, required=True, help="folder of the labelled rows")
    coverage.add_argument("--examples", type=_natural, default=0, metavar="N", help="show N spans of a source that they cannot")
    coverage.set_defaults(command=_coverage)

    decoders = commands.add_parser("decoders", help="greedy and dynamic programming on the same logits: key terms, cost")
    decoders.add_argument("--run", type=Path, required=True, help="folder that train wrote")
    decoders.add_argument("--data", type=Path, required=True, help="folder of the labelled rows")
    decoders.set_defaults(command=_decoders)


def _natural(value: str) -> int:
    """A whole number, 0 or more; argparse tells whatever else it is as wrong usage."""
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r} is no whole number, 0 or more")
    return int(value)


def _computing(command: argparse.ArgumentParser) -> None:
    """What `train` and `distil` share."""
    command.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute (a GPU if there is one)"
    )
    command.add_argument(
        "--workers", type=_natural, default=0, help="processes that prepare texts (one for each CPU of the container's quota)"
    )


def _device(arguments: argparse.Namespace) -> str:
    import torch

    there = torch.cuda.device_count() > 0
    if arguments.device == "cuda" and not there:
        raise Misconfigured("no GPU was found: use --device cpu, or install a driver and a torch that has CUDA")
    return "cuda" if there and arguments.device != "cpu" else "cpu"


def _judging(command: argparse.ArgumentParser) -> None:
    """What `evaluate` and `compare` share."""
    command.add_argument("--data", type=Path, required=True, help="folder of the labelled rows, or one file of rows or labels")
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="where to score")
    command.add_argument("--out", type=Path, metavar="FILE", help="write FILE.json and FILE.md too")
    command.add_argument("--json", action="store_true", help="print JSON")


if __name__ == "__main__":
    main()
