"""Builds the compiled part where the project is installed or packed: the hook of pyproject.toml."""

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path(__file__).parent


class CompiledPart(BuildHookInterface[Any]):
    """Puts `native` beside its sources, and into the wheel. Without a compiler or Python's headers one line says so,
    and pure Python runs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            made = build()
        except Exception as error:
            self.app.display_warning(f"The compiled part was not built, pure Python runs instead: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(f"/{made.relative_to(self.root)}")


def build() -> Path:
    """Compiles what is in this folder; the path of the module. Raises whatever setuptools does."""
    setuptools = import_module("setuptools")  # which has types in some versions only
    sys.path.insert(0, str(FOLDER.parent.parent))
    checksum = import_module("sipcgi.compiled").checksum
    extension = setuptools.Extension(
        "native",
        sorted(map(str, FOLDER.glob("[!.]*.c"))),
        define_macros=[("SOURCES", f'"{checksum()}"')],
        extra_compile_args=["-std=gnu11", "-O2", "-g0", "-fvisibility=hidden"],
        libraries=["m"],
    )
    command = setuptools.Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
    with TemporaryDirectory(prefix=".build", dir=FOLDER) as scratch:  # whoever has the old one loaded keeps it
        command.build_lib = command.build_temp = scratch
        command.ensure_finalized()
        command.run()
        name = command.get_ext_filename("native")
        return Path(scratch, name).replace(FOLDER / name)
