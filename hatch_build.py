"""Builds the compiled part, `textstream._native`, into wheels and editable installs; without a C compiler goes on without."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "textstream._native"
SOURCE = Path("stream/textstream/_native.pyx")


class Native(BuildHookInterface[Any]):
    """Compiles beside the source, where an editable install finds it; a wheel takes it from there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is put together."""
        try:
            built = compiled(Path(self.root))
        except (Exception, SystemExit) as error:  # setuptools has a dozen ways to say that there is no compiler
            self.app.display_warning(f"textstream runs without its compiled part, at about half the speed: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version != "editable":
            build_data["force_include"][str(built)] = str(Path("textstream") / built.name)


def compiled(root: Path) -> Path:
    """The extension module, built into the source tree."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    with tempfile.TemporaryDirectory() as scratch:
        source = shutil.copy(root / SOURCE, scratch)
        flags = [] if sys.platform == "win32" else ["-O3", "-g0", "-ffp-contract=off"]
        modules = cythonize([Extension(MODULE, [source], extra_compile_args=flags)], quiet=True)
        command = build_ext(Distribution({"ext_modules": modules}))
        command.build_lib, command.build_temp = scratch, scratch
        command.ensure_finalized()
        command.run()
        (made,) = command.get_outputs()
        return Path(shutil.copy(made, root / SOURCE.parent))
