"""How a bundle comes to its place: what is refused before the work, and what an interruption at any step leaves."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.bundles import SHIPPED
from tests.unit.test_export_adapt import slang
from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.scorer import Scorer
from textstream_export import adapt, cli
from textstream_export import export as ours
from textstream_export.place import foreign_to_a_bundle, placed, writable, writing

BEFORE, AFTER = "before", "after"


def fill(folder: Path, version: str) -> Path:
    """A bundle that loads, told from others by its version."""
    shutil.copytree(SHIPPED["swift"], folder, dirs_exist_ok=True)
    told = json.loads((folder / files.MANIFEST).read_bytes())
    (folder / files.MANIFEST).write_text(json.dumps(told | {"version": version}))
    return folder


def export(out: Path, version: str) -> None:
    """An export without the work."""
    with placed(out) as folder:
        fill(folder, version)


def standing(place: Path) -> str:
    """The version of the bundle at a place, every file of which is what its manifest says."""
    return files.read(place).manifest.version


def beside(place: Path) -> list[str]:
    """All names in the folder of a place."""
    return sorted(path.name for path in place.parent.iterdir())


def failing(at: int, when: str, error: BaseException) -> Callable[[Path, Path], None]:
    """A rename that raises at its call number `at`, before or after what it does, and never again."""
    rename, calls = os.rename, 0

    def renamed(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == at and when == BEFORE:
            raise error
        rename(source, target)
        if calls == at:
            raise error

    return renamed


def test_a_bundle_replaces_another_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """The first export makes the place and the folders it is in, the second one takes it; others may read what was written."""
    place = tmp_path / "made" / "mine"
    export(place, "1.0.0")
    assert Scorer.load(place, device="cpu").info["version"] == "1.0.0"
    export(place, "2.0.0")
    assert (standing(place), beside(place)) == ("2.0.0", ["mine"])
    (place.parent / "plain").mkdir()
    assert place.stat().st_mode == (place.parent / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("at", "when", "left"), [(1, BEFORE, "1.0.0"), (1, AFTER, "1.0.0"), (2, BEFORE, "1.0.0"), (2, AFTER, "2.0.0")]
)
def test_ctrl_c_at_any_rename_leaves_a_whole_bundle(
    at: int, when: str, left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the new bundle is in place the old one comes back; once it is, it stays; nothing of either lies beside it."""
    place = fill(tmp_path / "mine", "1.0.0")
    monkeypatch.setattr(os, "rename", failing(at, when, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        export(place, "2.0.0")
    assert (standing(place), beside(place)) == (left, ["mine"])


@pytest.mark.parametrize(("when", "left"), [(BEFORE, []), (AFTER, ["mine"])])
def test_ctrl_c_at_the_rename_of_a_first_bundle_leaves_all_of_it_or_nothing(
    when: str, left: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing stood there is one rename, and nothing to put back."""
    monkeypatch.setattr(os, "rename", failing(1, when, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "mine", "1.0.0")
    assert beside(tmp_path / "mine") == left


@pytest.mark.parametrize("at", [1, 2])
def test_a_rename_that_fails_leaves_the_last_bundle(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one error that names the place, and the bundle there is whole."""
    place = fill(tmp_path / "mine", "1.0.0")
    monkeypatch.setattr(os, "rename", failing(at, BEFORE, OSError(errno.EBUSY, "Device or resource busy")))
    with pytest.raises(Misconfigured, match=r"cannot write .*mine: Device or resource busy; nothing was replaced"):
        export(place, "2.0.0")
    assert (standing(place), beside(place)) == ("1.0.0", ["mine"])


def test_an_old_bundle_that_cannot_come_back_is_kept_for_the_next_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses every rename after the first: nothing of the old bundle is removed, and the next export finds it."""
    place, rename = fill(tmp_path / "mine", "1.0.0"), os.rename

    def refused(*_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def once(source: Path, target: Path) -> None:
        rename(source, target)
        monkeypatch.setattr(os, "rename", refused)

    monkeypatch.setattr(os, "rename", once)
    with pytest.raises(OSError, match="Input/output error"):
        export(place, "2.0.0")
    monkeypatch.undo()
    with pytest.raises(ZeroDivisionError), placed(place):
        raise ZeroDivisionError
    assert (standing(place), beside(place)) == ("1.0.0", ["mine"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), Misconfigured("no")])
def test_work_that_is_cut_off_leaves_the_last_bundle(error: BaseException, tmp_path: Path) -> None:
    """Ctrl-C, a full disk and an error of our own while the new bundle is half written are told as they are."""
    place = fill(tmp_path / "mine", "1.0.0")

    def cut_off() -> None:
        with placed(place) as folder:
            (folder / files.GOLDEN).write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        cut_off()
    assert caught.value is error
    assert (standing(place), beside(place)) == ("1.0.0", ["mine"])


def test_a_bundle_that_does_not_load_takes_no_place(tmp_path: Path) -> None:
    """What was written is read again before what stood there goes."""
    place = fill(tmp_path / "mine", "1.0.0")
    with pytest.raises(Misconfigured, match="does not match its digest"), placed(place) as folder:
        (fill(folder, "2.0.0") / files.CARD).write_text("another")
    assert (standing(place), beside(place)) == ("1.0.0", ["mine"])


def test_only_writing_is_told_as_such(tmp_path: Path) -> None:
    """A disk that is full names the file and what to do; rows that cannot be read are no such thing."""
    full = pytest.raises(Misconfigured, match=r"cannot write .*model.onnx: No space left on device; .*: make room, or name")
    with full, placed(tmp_path / "mine") as folder, writing(folder / "model.onnx"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError, match="rows"), placed(tmp_path / "mine"):
        raise PermissionError(errno.EACCES, "Permission denied", "rows")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from textstream_export.place import placed

rename, left = os.rename, int(sys.argv[3])

def killed(*moved):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*moved)

os.rename = killed
with placed(Path(sys.argv[1])) as folder:
    shutil.copytree(sys.argv[2], folder, dirs_exist_ok=True)
"""
"""An export whose process is killed at its rename number argv[3], from 0."""


def kill(place: Path, new: Path, renames: int) -> Path:
    """Leaves what a killed export leaves, and returns it."""
    ended = subprocess.run([sys.executable, "-c", KILLED, place, new, str(renames)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = place.parent.glob(".mine.textstream-*")
    return left


def test_what_killed_exports_left_is_settled_by_the_next_one(tmp_path: Path) -> None:
    """One killed between the renames has left nothing at its place: the old bundle comes back, whatever comes then."""
    place, new = fill(tmp_path / "out" / "mine", "1.0.0"), fill(tmp_path / "2", "2.0.0")
    kill(place, new, renames=0)
    assert standing(place) == "1.0.0"
    with pytest.raises(ZeroDivisionError), placed(place):
        raise ZeroDivisionError
    assert (standing(place), beside(place)) == ("1.0.0", ["mine"])
    left = kill(place, new, renames=1)
    assert beside(place) == [left.name]
    with pytest.raises(ZeroDivisionError), placed(place):
        raise ZeroDivisionError
    assert (standing(place), beside(place)) == ("1.0.0", ["mine"])


def test_an_export_that_still_goes_on_is_left_alone(tmp_path: Path) -> None:
    """A second one to the same place takes it, and the first then takes it too."""
    place = tmp_path / "mine"
    with placed(place) as folder:
        fill(folder, "2.0.0")
        export(place, "1.0.0")
        assert standing(place) == "1.0.0"
    assert (standing(place), beside(place)) == ("2.0.0", ["mine"])


def test_neighbours_that_are_not_ours_stay(tmp_path: Path) -> None:
    """A name like those of our folders is not enough to be removed, nor is what is in them; another place's stay too."""
    names = [".mine-old", ".mine.textstream-notes000", ".mine.textstream-empty000", ".mine-2.textstream-abcdefgh"]
    for name, within in zip(names, ["new", "notes", "", "new"], strict=True):
        (tmp_path / name / within).mkdir(parents=True)
    (tmp_path / ".mine.textstream-aaaaaaaa").write_text("a file")
    export(tmp_path / "mine", "1.0.0")
    export(tmp_path / "mine", "2.0.0")
    assert beside(tmp_path / "mine") == sorted([*names, ".mine.textstream-aaaaaaaa", "mine"])


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    """As with everything else that is written to a link; also where nothing stands at its end yet."""
    real = fill(tmp_path / "far" / "real", "1.0.0")
    for name, target in (("link", real), ("dangling", tmp_path / "far" / "missing")):
        (tmp_path / name).symlink_to(target)
        export(tmp_path / name, "2.0.0")
        assert (tmp_path / name).readlink() == target
        assert standing(target) == "2.0.0"
    assert beside(real) == ["missing", "real"]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    """It leads nowhere, so it is foreign."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Misconfigured, match="loop is not replaced"), placed(tmp_path / "loop"):
        pytest.fail("the work began")


@pytest.mark.parametrize("out", ["", ".", "../here", "/proc"])
def test_a_folder_that_cannot_be_renamed_is_refused_before_the_work(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder one is in, however it is named, and a mount: one line that says what to name."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit) as caught:
        cli.main(["calibrate", "--bundle", "missing", "--data", "missing", "--out", out])
    assert caught.value.code == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"is the folder you are in, or a mount: name one within it with --out, {Path(out, 'mine')}")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("out", ["/proc/mine", "file/mine"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that ends in a bundle sees it before it reads anything."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file")
    with pytest.raises(Misconfigured, match=f"cannot write .*{out}: "), placed(Path(out)):
        pytest.fail("the work began")
    missing = Path("missing")
    works: list[Callable[[], files.Manifest]] = [
        lambda: ours.export([missing], missing, Path(out)),
        lambda: adapt.export(missing, missing, Path(out)),
        lambda: adapt.recalibrate(missing, missing, Path(out)),
    ]
    for work in works:
        with pytest.raises(Misconfigured, match=f"cannot write .*{out}: "):
            work()


@pytest.mark.parametrize("out", ["/proc/runs/mine", "file", "file/mine"])
@pytest.mark.parametrize("data", ["my.jsonl", "folder"])
def test_a_run_that_cannot_be_written_is_refused_before_the_work(
    out: str, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training says so at once, not after minutes of encoding; it does not get to see that there are no rows."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file")
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "--data", data, "--out", out])
    assert caught.value.code == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"textstream-export: cannot write {out}: ")


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    """What is in a folder stays, and the file that was tried does not; one that is missing is not made yet."""
    (tmp_path / "checkpoint.pt").write_text("a run to go on from")
    writable(tmp_path)
    writable(tmp_path / "new" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("name", ["mine", "new"])
def test_a_folder_that_is_read_only_is_refused_before_the_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that cannot be moved away, or a folder in which none can be made."""
    place = tmp_path / "mine"
    place.mkdir()
    read_only = place if name == "mine" else tmp_path

    def temporary(*, dir: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied") if dir == read_only else AssertionError(dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    with pytest.raises(Misconfigured, match="Permission denied"), placed(tmp_path / name):
        pytest.fail("the work began")


def test_a_bundle_of_another_format_is_replaced(tmp_path: Path) -> None:
    """Export again, says the error of a bundle that an older textstream wrote: that can be done in its place."""
    place = fill(tmp_path / "mine", "1.0.0")
    told = json.loads((place / files.MANIFEST).read_bytes())
    first = {name: value for name, value in told.items() if name != "networks"} | {
        "format_version": 1,
        "golden_tolerance": 0.01,
    }
    (place / files.MANIFEST).write_text(json.dumps(first))
    with pytest.raises(Misconfigured, match="format version 1"):
        standing(place)
    labels = slang(tmp_path / "my.jsonl", 60, seed=3)
    adapt.recalibrate("swift", labels, place)
    assert Scorer.load(place, device="cpu").info["name"] == "textstream-swift-own"
    assert beside(place) == ["mine", "my.jsonl"]


def test_a_bundle_with_other_files_in_its_folder_is_not_replaced(tmp_path: Path) -> None:
    """What somebody put beside a bundle would go with it; a bundle alone may be replaced, and an empty folder."""
    place = fill(tmp_path / "mine", "1.0.0")
    assert foreign_to_a_bundle(place) is None
    (place / "my labels.jsonl").write_text("mine")
    assert foreign_to_a_bundle(place) == "my labels.jsonl"
    assert foreign_to_a_bundle(place / "my labels.jsonl") == "my labels.jsonl"
    (tmp_path / "empty").mkdir()
    assert foreign_to_a_bundle(tmp_path / "empty") is foreign_to_a_bundle(tmp_path / "missing") is None


@pytest.mark.parametrize("manifest", ["[]", "{", '{"format_version": 1, "files": {"package.js": ""}}', '{"name": "extension"}'])
def test_a_manifest_of_something_else_is_of_no_bundle(manifest: str, tmp_path: Path) -> None:
    """Web pages and packages have one too."""
    (tmp_path / files.MANIFEST).write_text(manifest)
    assert foreign_to_a_bundle(tmp_path) == files.MANIFEST
