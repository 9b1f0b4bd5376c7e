"""Builds the compiled part, `textstream._native`, into wheels and editable installs; where it cannot, goes on without."""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "textstream._native"
SOURCE = Path("stream/textstream/_native.pyx")
FLAGS = [] if sys.platform == "win32" else ["-O3", "-g0", "-ffp-contract=off"]  # fused operations would change last bits


class Native(BuildHookInterface[Any]):
    """Puts the module into a wheel; for an editable install, beside its source."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is put together."""
        self._scratch = TemporaryDirectory()
        source = Path(self.root) / SOURCE
        try:
            built = compiled(source, Path(self._scratch.name))
        except (Exception, SystemExit) as error:  # setuptools has a dozen ways to say that there is no compiler
            self.app.display_warning(f"textstream runs without its compiled part, at about half of the speed: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version == "editable":
            placed = shutil.copy(built, source.parent / f"{built.name}.new")
            os.replace(placed, source.parent / built.name)  # at once, and not into the file that a running worker has loaded
        else:
            build_data["force_include"][str(built)] = f"textstream/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when it is done."""
        self._scratch.cleanup()


def compiled(source: Path, folder: Path) -> Path:
    """The extension module, built in `folder`."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    own = shutil.copy(source, folder)
    modules = cythonize([Extension(MODULE, [own], extra_compile_args=FLAGS)], quiet=True)
    command = build_ext(Distribution({"ext_modules": modules}))
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    (made,) = command.get_outputs()
    return Path(made)
