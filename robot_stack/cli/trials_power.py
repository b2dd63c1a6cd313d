"""``robot-stack trials power``: how many trials are needed for which difference."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_stack.cli.parsing import Many, parse

if TYPE_CHECKING:
    from robot_stack.evaluation.trials.plan import TrialPlan

USUAL = ((0.5, 0.6), (0.5, 0.7), (0.5, 0.9), (0.7, 0.9), (0.8, 0.95))
"""Success rates shown when none are asked for."""


@dataclass(frozen=True)
class PowerArgs:
    """Tell the power of a stopping rule, and how many trials give 80 percent.

    Without rates, a table of usual ones.
    """

    rates: Annotated[Many[float], tyro.conf.Positional] = ()
    """Two success rates to tell apart, e.g. 0.5 0.7."""

    n_max: int = 50
    """Trials of each policy, at most."""

    alpha: float = 0.05
    """Chance of any false difference, over all comparisons and both directions."""

    rule: str = "barnard"
    """barnard, pairs, e-process, fixed."""

    policies: int = 2
    """How many are compared."""

    power: float = 0.8
    """Wanted chance of finding the difference."""

    most: int = 400
    """Largest number of trials tried."""

    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> int:
    """Compute and tell."""
    args = parse(PowerArgs, arguments, "robot-stack trials power")
    from rich.console import Console

    from robot_stack.core.config_json import from_plain
    from robot_stack.core.errors import ConfigError
    from robot_stack.evaluation.trials.plan import Stopping
    from robot_stack.evaluation.trials.power import power_of, trials_needed

    if len(args.rates) not in (0, 2) or args.policies < 2:
        raise ConfigError("two success rates are compared, of at least two policies", got=args.rates)
    stopping = from_plain(Stopping, {"rule": args.rule, "alpha": args.alpha, "n_max": args.n_max})
    comparisons = args.policies * (args.policies - 1) // 2
    pairs = [(args.rates[0], args.rates[1])] if args.rates else list(USUAL)
    found = [power_of(stopping, *pair, comparisons=comparisons) for pair in pairs]
    needed = None
    if args.rates and pairs[0][0] != pairs[0][1]:
        needed = trials_needed(stopping, *pairs[0], power=args.power, comparisons=comparisons, most=args.most)
    if args.json:
        print(json.dumps({"power": [asdict(f) for f in found], "needed": asdict(needed) if needed else None}, indent=2))
        return 0
    console = Console(highlight=False)
    _table(console, found)
    if args.rates and needed is not None:
        console.print(
            f"\n{args.power:.0%} power needs n_max {needed.n_max}; "
            f"on average {needed.expected_trials:.0f} trials of each policy until it stops"
        )
    elif args.rates and pairs[0][0] != pairs[0][1]:
        console.print(f"\neven {args.most} trials of each policy do not give {args.power:.0%} power")
    return 0


def show_power(plan: TrialPlan, console: Any) -> None:
    """A table of the plan's power for usual differences."""
    from robot_stack.evaluation.trials.power import power_of

    found = [power_of(plan.stopping, *pair, comparisons=len(plan.comparisons)) for pair in USUAL]
    _table(console, found)


def _table(console: Any, found: list[Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("success rates", "power", "trials of each on average", f"of at most {found[0].n_max}"):
        table.add_column(heading)
    for row in found:
        how = "exact" if row.exact else "2000 simulated studies"
        table.add_row(f"{row.first:g} and {row.second:g}", f"{row.power:.3f}", f"{row.expected_trials:.1f}", how)
    console.print(table)
