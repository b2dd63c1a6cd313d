"""What an operator sees: what is known, and the table that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

STATE_STYLES = {
    "UNCONFIGURED": "dim",
    "IDLE": "cyan",
    "READY": "bold yellow",
    "HOLD": "bold blue",
    "ARMED": "bold green",
    "SOFT_STOP": "bold magenta",
    "DAMPING": "bold magenta",
    "ESTOP": "bold white on red",
}
"""How each state of the robot is written."""

KEYS = (
    ("c", "connect"),
    ("r", "ready"),
    ("a", "arm"),
    ("SPACE", "deadman"),
    ("h", "hold"),
    ("s", "soft stop"),
    ("d", "damp"),
    ("e", "EMERGENCY STOP"),
    ("x", "reset"),
    ("q", "quit"),
)
"""What the keys do."""

STALE_S = 1.0
"""A status older than this is shown as lost [s]."""


@dataclass
class Known:
    """Everything the operator node has heard, and what it does about it."""

    title: str = ""
    """What is being done."""

    lifecycle: str = "not found"
    """Of the robot node: unconfigured, inactive, active …"""

    state: str = ""
    """Of the robot's state machine; empty before anything was heard."""

    level: int = 0
    """Of the robot's status: 0 fine, 1 warning, 2 error."""

    message: str = ""
    """The robot's status in words."""

    values: Mapping[str, str] = field(default_factory=dict)
    """The robot's status by the names of ``LoopStatus``."""

    status_age_s: float = float("inf")
    """Since the last status [s]."""

    held: bool = False
    """The deadman switch is held here."""

    deadman: str = "SPACE"
    """What the deadman switch is."""

    observation_hz: float = 0.0
    """Observations a second of robot time [Hz]."""

    chunk_hz: float = 0.0
    """Action chunks a second of robot time [Hz]."""

    answer: str = ""
    """The last answer to a request."""

    question: str = ""
    """What waits for y or n; empty for nothing."""

    nodes: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Of every other node of the robot that tells diagnostics: level and sentence."""

    score: str = ""
    """Of the simulated task, in words; empty where nothing scores."""

    lines: tuple[str, ...] = ()
    """Newest lines that the nodes logged, newest last."""


def table(known: Known) -> Any:
    """The whole picture, for ``rich``."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True, width=18)
    grid.add_column(overflow="fold")
    for name, value in rows(known):
        grid.add_row(name, value)
    head = Text.assemble((f" {known.state or 'not heard'} ", STATE_STYLES.get(known.state, "dim")), "  ")
    head.append(headline(known), style="red" if known.level >= 2 else "yellow" if known.level == 1 else "")
    parts: list[Any] = [head]
    if known.question:  # up here, where no small terminal cuts it off
        parts.append(Text(f"{known.question}  y / n", style="bold black on yellow"))
    parts += [Text(), grid]
    if known.lines:
        parts += [Text(), *(Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in known.lines)]
    keys = Table.grid(padding=(0, 2))
    half = (len(KEYS) + 1) // 2
    for row in (KEYS[:half], KEYS[half:]):
        keys.add_row(*(Text.assemble((f" {key} ", "reverse"), f" {what}") for key, what in row))
    parts += [Text(), keys]
    return Panel(Group(*parts), title=known.title, title_align="left")


def fitted(known: Known, console: Any) -> Any:
    """The picture with as many of the newest log lines as the terminal has room for: what is below is not seen.

    Args:
        known: what to show.
        console: of ``rich``.
    """
    height = len(console.render_lines(table(replace(known, lines=())), pad=False))
    room = max(0, console.height - height - 1)
    return table(replace(known, lines=known.lines[max(0, len(known.lines) - room) :]))


def headline(known: Known) -> str:
    """The most important sentence now."""
    if known.lifecycle != "active":
        return f"the robot node is {known.lifecycle}"
    if known.status_age_s > STALE_S:
        return f"NO STATUS FROM THE ROBOT NODE for {known.status_age_s:.1f} s"
    _, _, rest = known.message.partition(": ")
    return rest


def rows(known: Known) -> list[tuple[str, str]]:
    """Names and values of the table, in order."""
    get = known.values.get
    refused = _spread(known.values, "chunks_refused.")
    made = [
        ("deadman switch", f"{'HELD' if known.held else 'released'} ({known.deadman}); robot sees {_held(get)}"),
        ("observations", f"{known.observation_hz:5.1f} Hz   state {_ms(get('state_age_ms'))} old"),
        (
            "actions",
            f"{known.chunk_hz:5.1f} chunks/s   latency {_ms(get('latency_ms'))}   plan left {_ms(get('plan_left_ms'))}"
            f"   taken {get('chunks_accepted', '0')}   refused {sum(map(int, refused.values())) if refused else 0}",
        ),
        (
            "loop",
            f"{get('ticks', '0')} ticks   overruns {get('overruns', '0')}   worst {_ms(get('worst_late_ms'))} late",
        ),
        ("safety", f"{get('interventions', '0')} interventions; last: {get('last_intervention') or 'none'}"),
    ]
    if refused:
        listed = ", ".join(f"{reason} {count}" for reason, count in refused.items())
        made.append(("refused", f"{listed}; last: {get('last_refusal') or '-'}"))
    for name, prefix in (("faults", "faults."), ("readings", "readings.")):
        if found := _spread(known.values, prefix):
            made.append((name, "   ".join(f"{key} {value}" for key, value in found.items())))
    made += [(name, get(key, "")) for name, key in (("stopped for", "latched"), ("warnings", "warnings")) if get(key)]
    made += [(name, text) for name, (_, text) in sorted(known.nodes.items())]
    if known.score:
        made.append(("task", known.score))
    made.append(("last answer", known.answer or "-"))
    return made


def _held(get: Any) -> str:
    pressed = ", EMERGENCY STOP pressed" if get("estop_pressed") == "True" else ""
    return ("held" if get("deadman") == "True" else "released") + pressed


def _ms(value: str | None) -> str:
    return f"{float(value):.1f} ms" if value else "- ms"


def _spread(values: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
