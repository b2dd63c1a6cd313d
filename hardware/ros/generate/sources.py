"""Step one: definitions become C, C++ and Python, by ROS's own generators.

Run as a program, ``python -m robot_stack.hardware.ros.generate.sources PACKAGE FOLDER``, in a process of its own,
because the generators print, keep state in globals and bring parsers that a robot's process has no use for. Method:
the calls that rosidl_generate_interfaces makes from CMake, in the same order.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from robot_stack.core.errors import MissingExtraError
from robot_stack.hardware.ros.generate.definitions import Definitions, definitions
from robot_stack.hardware.ros.generate.prefixes import share_of

TYPE_SUPPORTS = ("rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c")
"""How messages become bytes: Fast DDS uses the first, Cyclone DDS the second."""

_VISIBILITY = {
    "rosidl_generator_c": "c",
    "rosidl_typesupport_introspection_c": "introspection",
    "rosidl_typesupport_fastrtps_c": "fastrtps",
}


def _generator(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError("generating ROS messages", extra="ros", package=error.name or module) from error


class _Generators:
    def __init__(self, wanted: Definitions, out: Path) -> None:
        self.package, self.out = wanted.package, out
        self.needs = wanted.needs
        self.names = self._write_idl(wanted)

    def _write_idl(self, wanted: Definitions) -> list[str]:
        """Interface definitions in OMG IDL, which all other generators read; returns their paths in the package."""
        names = []
        for path, text in wanted.texts:
            source = self.out / "definitions" / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text, "utf-8")
            kind = source.suffix[1:]
            convert = getattr(_generator(f"rosidl_adapter.{kind}"), f"convert_{kind}_to_idl")
            convert(self.out / "definitions", self.package, Path(path), self.out / "idl" / Path(path).parent)
            names.append(f"{Path(path).with_suffix('.idl')}")
        return names

    def _arguments(self, step: str, templates: str, **more: Any) -> str:
        arguments = {
            "package_name": self.package,
            "idl_tuples": [f"{self.out / 'idl'}:{name}" for name in self.names],
            "ros_interface_dependencies": [],
            "output_dir": str(self.out / step / self.package),
            "template_dir": str(share_of(templates) / "resource"),
            "target_dependencies": [],
            **more,
        }
        file = self.out / f"{step}.json"
        file.write_text(json.dumps(arguments))
        return str(file)

    def run(self) -> None:
        needs = [f"{name}:{share_of(name)}" for name in self.needs]
        hashes = self._arguments("types", "rosidl_generator_c", include_paths=needs)
        _generator("rosidl_generator_type_description").generate_type_hash(hashes)
        folder = self.out / "types" / self.package
        types = [f"{name}:{folder / Path(name).with_suffix('.json')}" for name in self.names]

        def step(name: str, module: str) -> str:
            return self._arguments(name, module, type_description_tuples=types)

        c, introspection = "rosidl_generator_c", "rosidl_typesupport_introspection_c"
        fastrtps, dispatch, python = "rosidl_typesupport_fastrtps_c", "rosidl_typesupport_c", "rosidl_generator_py"
        _generator(c).generate_c(step("c", c))
        _generator(introspection).generate_c(step("introspection", introspection))
        _generator(fastrtps).generate_typesupport_fastrtps_c(step("fastrtps", fastrtps))
        _generator(dispatch).generate_c(step("dispatch", dispatch), list(TYPE_SUPPORTS))
        _generator(python).generate_py(self._arguments("python", python), [dispatch])
        self._write_visibility_headers()

    def _write_visibility_headers(self) -> None:
        """CMake configures these headers; they only say which symbols a library shows."""
        for module, step in _VISIBILITY.items():
            name = f"{module}__visibility_control.h"
            text = (share_of(module) / "resource" / f"{name}.in").read_text("utf-8")
            text = text.replace("@PROJECT_NAME@", self.package).replace("@PROJECT_NAME_UPPER@", self.package.upper())
            folder = self.out / step / self.package / "msg"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")


def generate_sources(package: str, out: Path) -> None:
    """Write the sources of a package under ``out``, one folder for each generator.

    Raises:
        UnknownNameError: if robot_stack has no such package.
        MissingExtraError: if ROS's generators are not installed.
    """
    _Generators(definitions(package), out).run()


if __name__ == "__main__":
    generate_sources(sys.argv[1], Path(sys.argv[2]))
