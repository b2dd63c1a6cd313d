"""``robot-stack policy``: what is in a policy bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_stack.cli.parsing import parse


@dataclass(frozen=True)
class InfoArgs:
    """Show what is in a policy bundle: network, inputs, embodiment, training data, metrics; torch is not needed."""

    bundle: Annotated[Path, tyro.conf.Positional]
    """Folder of the bundle."""

    json: bool = False
    """Print everything as JSON."""


COMMANDS = {"info": InfoArgs}


def run(arguments: list[str]) -> int:
    """Run ``robot-stack policy info``."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: robot-stack policy info BUNDLE [--json]\n\n  info  what is in a policy bundle")
        return 0 if arguments else 2
    from robot_stack.core.errors import require_name

    require_name("policy command", arguments[0], COMMANDS)
    return _info(parse(InfoArgs, arguments[1:], "robot-stack policy info"))


def _info(args: InfoArgs) -> int:
    import json

    from rich.console import Console
    from rich.tree import Tree

    from robot_stack.policies.bundle import bundle_info

    info = bundle_info(args.bundle)
    if args.json:
        print(json.dumps(info, indent=2, ensure_ascii=False))
        return 0
    tree = Tree(f"[bold]{args.bundle}[/bold]")
    _grow(tree, info)
    Console(highlight=False).print(tree)
    return 0


def _grow(tree, value: object) -> None:  # noqa: ANN001 - a rich tree
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, (dict, list)) and inner and not _is_flat(inner):
            _grow(tree.add(f"[cyan]{key}[/cyan]"), inner)
        else:
            tree.add(f"[cyan]{key}[/cyan]: {_short(inner)}")


def _is_flat(value: object) -> bool:
    return isinstance(value, list) and all(not isinstance(v, (dict, list)) for v in value)


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 100 else text[:97] + "…"
