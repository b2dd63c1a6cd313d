"""Step two: the generated sources become shared libraries, with gcc and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from robot_stack.core.errors import RobotStackError
from robot_stack.hardware.ros.generate.definitions import Definitions
from robot_stack.hardware.ros.generate.prefixes import include_folders

HERE = "$ORIGIN"
"""Libraries look for one another beside themselves, so that the finished folder can be moved into its place."""


class MessageBuildError(RobotStackError):
    """Message definitions could not be turned into libraries."""


@dataclass(frozen=True)
class _Library:
    """One shared library."""

    name: str
    """File without ``lib`` and ``.so``; a Python extension when :attr:`extension`."""

    sources: tuple[Path, ...]
    """All of one language."""

    links: tuple[str, ...]
    """Libraries that it needs, by the names that ``-l`` takes."""

    extension: bool = False
    """A module of Python."""

    @property
    def compiler(self) -> str:
        return "g++" if any(s.suffix == ".cpp" for s in self.sources) else "gcc"

    def units(self, folder: Path) -> list[Path]:
        """What is given to the compiler: C++ in one piece, because its time goes into headers that all share."""
        if self.compiler == "gcc":
            return list(self.sources)
        unit = folder / f"{self.name}.cpp"
        unit.write_text("".join(f'#include "{source}"\n' for source in self.sources), "utf-8")
        return [unit]


def require_compiler() -> None:
    """Raise unless there is something to compile with.

    Raises:
        MessageBuildError: saying what to install.
    """
    missing = [name for name in ("gcc", "g++") if shutil.which(name) is None]
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.is_file():
        missing.append(str(header))
    if missing:
        raise MessageBuildError(
            "the messages of this robot are compiled at first use, and something for that is missing",
            got=f"not found: {', '.join(missing)}",
            remedy="install a compiler and Python's headers (Debian and Ubuntu: apt-get install gcc g++ python3-dev), "
            "or install the ROS package of these messages",
        )


def _needs(wanted: Definitions, out: Path) -> list[str]:
    """Every package whose types are used, directly or inside other packages' types."""
    found = set(wanted.needs)
    for file in (out / "types").rglob("*.json"):
        described = json.loads(file.read_text("utf-8"))["type_description_msg"]
        found |= {other["type_name"].split("/")[0] for other in described["referenced_type_descriptions"]}
    return sorted(found - {wanted.package})


def _libraries(wanted: Definitions, out: Path) -> list[_Library]:
    package, needs = wanted.package, _needs(wanted, out)

    def of(step: str, pattern: str) -> tuple[Path, ...]:
        return tuple(sorted((out / step / package).rglob(pattern)))

    def links(kind: str, *more: str) -> tuple[str, ...]:
        return (*more, *(f"{need}__{kind}" for need in needs), "rosidl_runtime_c", "rcutils")

    def ours(kind: str) -> str:
        return f"{package}__{kind}"

    c, dispatch, python = "rosidl_generator_c", "rosidl_typesupport_c", "rosidl_generator_py"
    introspection, fastrtps = "rosidl_typesupport_introspection_c", "rosidl_typesupport_fastrtps_c"
    entry = of("python", "*.ep.*.c")
    support = tuple(s for s in of("python", "*.c") if s not in entry)
    return [
        _Library(ours(c), of("c", "*.c"), links(c)),
        _Library(ours(introspection), of("introspection", "*.c"), links(introspection, ours(c), introspection)),
        _Library(
            ours(fastrtps),
            of("fastrtps", "*.cpp"),
            links(fastrtps, ours(c), "fastcdr", fastrtps, "rosidl_typesupport_fastrtps_cpp"),
        ),
        _Library(ours(dispatch), of("dispatch", "*.cpp"), links(dispatch, ours(c), dispatch)),
        _Library(ours(python), support, links(python, ours(c), ours(dispatch))),
        _Library(f"{package}_s__{dispatch}", entry, (ours(python), ours(dispatch), dispatch), extension=True),
    ]


class _Build:
    def __init__(self, wanted: Definitions, out: Path, prefixes: Sequence[Path]) -> None:
        import numpy as np

        steps = [f"-I{out / step}" for step in ("c", "introspection", "fastrtps", "python")]
        python = [f"-I{sysconfig.get_paths()['include']}", f"-I{np.get_include()}"]
        self.includes = [*steps, *(f"-I{f}" for f in include_folders(prefixes)), *python]
        self.objects = out / "objects"
        self.target = out / "finished"
        libs = [p / "lib" for p in prefixes if (p / "lib").is_dir()]
        self.search = [f"-L{self.target / 'lib'}", *(f"-L{lib}" for lib in libs)]
        self.rpath = [f"-Wl,-rpath,{lib}" for lib in libs]
        self.package = wanted.package

    def compile(self, library: _Library, source: Path) -> Path:
        folder = self.objects / library.name
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{'_'.join(source.parts[-3:])}.o"  # a message and an action may share a name
        _run([library.compiler, "-c", "-fPIC", "-O1", "-w", *self.includes, str(source), "-o", str(target)])
        return target

    def link(self, library: _Library, objects: Sequence[Path]) -> None:
        if library.extension:
            target = self.target / self.package / f"{library.name}{sysconfig.get_config_var('EXT_SUFFIX')}"
            own = f"-Wl,-rpath,{HERE}/../lib"
        else:
            target = self.target / "lib" / f"lib{library.name}.so"
            own = f"-Wl,-rpath,{HERE}"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Some libraries of the wheels bring their own dependencies under mangled names, which the linker need not find.
        loose = ["-Wl,--allow-shlib-undefined"]
        name = f"-Wl,-soname,{target.name}"
        links = [f"-l{needed}" for needed in library.links]
        files = map(str, objects)
        _run(
            [
                library.compiler,
                "-shared",
                name,
                *files,
                "-o",
                str(target),
                *self.search,
                *links,
                own,
                *self.rpath,
                *loose,
            ]
        )


def compile_sources(wanted: Definitions, out: Path, prefixes: Sequence[Path]) -> Path:
    """Compile what :func:`.sources.generate_sources` wrote under ``out``.

    Args:
        wanted: the package.
        out: where its sources are.
        prefixes: where ROS 2 is installed.

    Returns:
        A folder with the Python package, ``lib/`` and the descriptions of the types in ``share/``; it may be moved.

    Raises:
        MessageBuildError: if there is no compiler, or it refuses.
    """
    require_compiler()
    build = _Build(wanted, out, prefixes)
    libraries = _libraries(wanted, out)
    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        made = [[pool.submit(build.compile, library, unit) for unit in library.units(out)] for library in libraries]
        for library, objects in zip(libraries, made, strict=True):
            build.link(library, [o.result() for o in objects])
    for file in (out / "python" / wanted.package).rglob("*.py"):
        target = build.target / wanted.package / file.relative_to(out / "python" / wanted.package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    (build.target / wanted.package / "__init__.py").touch()
    shutil.copytree(out / "types" / wanted.package, build.target / "share" / wanted.package)
    return build.target


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise MessageBuildError(
            "the compiler refused a generated message",
            where=command[-1] if "-c" in command else " ".join(command[:1]),
            got=done.stderr.strip()[-2000:],
            remedy="if headers are missing, the installed ROS packages do not belong together",
        )
