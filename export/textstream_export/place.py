"""Puts a bundle in its place: filled beside it and renamed in, so that whatever happens, a whole bundle stands there.

While an export to NAME goes on, `.NAME.textstream-xxxxxxxx` beside it holds `new`, which is filled, and at the end for an
instant `old`, which stood at NAME. Where that folder holds both and nothing stands at NAME, the export was cut off in that
instant, and `old` goes back. Its own process sees to it after an error or Ctrl-C; after a kill, the next export to NAME.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.scorer import Scorer

NEW, OLD = "new", "old"
OF_EVERY_FORMAT = {"format_version", "text_version", "calibration", "files"}
"""What the manifests of all our formats have, and together hardly one of anybody else's."""


@contextmanager
def placed(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place `out` once it is a bundle that loads; until then nothing is touched.

    A link at `out` stays, and what it leads to is replaced. Raises Misconfigured, and before anything, where `out` cannot be
    written or holds something that is of no bundle.
    """
    place = _place(out)
    writable(place)  # a folder that stands there must be, too: it is moved to another one
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        own = Path(tempfile.mkdtemp(prefix=f"{_ours(place)}-", dir=place.parent))
    with _locked(own):
        try:
            with writing(place):
                (own / NEW).mkdir()
            yield own / NEW
            Scorer.load(own / NEW, device="cpu")
            with writing(place):
                if place.exists():
                    place.rename(own / OLD)
                (own / NEW).rename(place)
        finally:
            _settle(own, place)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """For what writes and reads nothing of anybody else's: its OSError becomes Misconfigured."""
    try:
        yield
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}; nothing was replaced: make room, or name another folder with --out"
        raise Misconfigured(what) from None


def writable(folder: Path) -> None:
    """See that a folder takes files, or can be made, before the work that fills it; leaves no trace. Raises Misconfigured."""
    with writing(folder):
        nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        tempfile.TemporaryFile(dir=nearest).close()


def foreign_to_a_bundle(place: Path) -> str | None:
    """What stands there that an export must not replace; None where nothing does, or a bundle and nothing else."""
    if not place.is_dir():
        return place.name if os.path.lexists(place) else None
    return min({path.name for path in place.iterdir()} - _files_of_bundle(place), default=None)


def _files_of_bundle(folder: Path) -> set[str]:
    """What the bundle in a folder consists of, whatever its format; nothing where its manifest is not of ours."""
    try:
        told = json.loads((folder / files.MANIFEST).read_bytes())
        return {files.MANIFEST, *told["files"]} if told.keys() >= OF_EVERY_FORMAT else set()
    except (OSError, ValueError, AttributeError, TypeError):
        return set()


def _place(out: Path) -> Path:
    """Where `out` leads. Raises Misconfigured where a bundle must not be put, or no folder can be renamed to."""
    with writing(out):
        place = Path(os.path.realpath(out))
        fixed, foreign = place == Path.cwd() or place.is_mount(), foreign_to_a_bundle(place)
    if fixed:
        raise Misconfigured(f"{out} is the folder you are in, or a mount: name one within it with --out, {out / 'mine'}")
    if foreign is not None:
        raise Misconfigured(
            f"{out} is not replaced, for {foreign} is of no bundle: move it away, or name another folder with --out"
        )
    return place


def _ours(place: Path) -> str:
    """How the folders begin that exports to `place` make; mkdtemp adds letters that are no hyphen."""
    return f".{place.name}.textstream"


def _sweep(place: Path) -> None:
    """Settle what exports to `place` left that were killed: the lock of each ended with its process."""
    for left in place.parent.iterdir():
        if left.name.rpartition("-")[0] == _ours(place):
            with suppress(OSError):  # of an export that goes on, or not ours: it may stay
                held = {path.name for path in left.iterdir()}
                if held and held <= {NEW, OLD}:  # an empty one may be about to be locked
                    with _locked(left):
                        _settle(left, place)


def _settle(own: Path, place: Path) -> None:
    """Put the old bundle back where the new one did not come, then remove what is left. Where it cannot go back, it stays."""
    if (own / NEW).exists() and (own / OLD).exists() and not place.exists():
        (own / OLD).rename(place)
    shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """What no other process holds of a folder while this one lives. Raises OSError where another does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
