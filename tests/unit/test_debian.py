"""How the tests come by Debian's packages: on a fresh image, side by side, and where they cannot."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import debian

APT = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$3" >> log
case "$3" in
  update) [ -e reachable ] && : > lists || { echo "E: no way there" >&2; exit 100; } ;;
  *) [ -e lists ] || { echo "E: Unable to locate package $4" >&2; exit 100; } ; : > "$OLDPWD/$4.deb" ;;
esac
"""
DPKG = '#!/bin/sh\nmkdir -p "$3/usr/bin" && : > "$3/usr/bin/tool"\n'


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an apt that has no lists yet, and writes down what it is asked."""
    for name, script in (("apt-get", APT), ("dpkg-deb", DPKG)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(debian, "LOCK", tmp_path / "lock")
    return tmp_path


def test_two_that_need_a_package_at_once_get_it_once(image: Path) -> None:
    """On an image without lists they are fetched, by one of the two; the other waits and finds the package there."""
    (image / "reachable").touch()
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(lambda _: debian.unpacked("tool", image / "cache/tool", ["tool"], "a test"), range(2)))
    assert folders == [image / "cache/tool"] * 2 and (folders[0] / "usr/bin/tool").is_file()
    assert (image / "log").read_text().split() == ["download", "update", "download"]


def test_what_cannot_be_had_is_named(image: Path) -> None:
    """Package, programs and what apt said: for one who is not root, or has no network."""
    for get in (debian.installed, lambda *given: debian.unpacked(given[0], image / "cache/tool", *given[1:])):
        with pytest.raises(
            debian.MissingError, match=r"a test needs it: .* `apt-get install gone`.* put gone on PATH .*no way there"
        ):
            get("gone", ["gone"], "a test needs it")
    assert not (image / "cache/tool").exists()
