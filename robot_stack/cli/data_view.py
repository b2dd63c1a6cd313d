"""``robot-stack data view``: a page to look at a dataset with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_stack.cli.bars import bars
from robot_stack.cli.parsing import Many, Maybe, parse


@dataclass(frozen=True)
class ViewConfig:
    """Write one HTML file that shows a dataset: outcomes, pictures, plots, provenance. It needs nothing else."""

    dataset: Positional[Path]
    """Folder of the dataset."""

    out: Maybe[Path] = None
    """The HTML file; <dataset>.html in the current folder when left out."""

    episodes: Many[int] = ()
    """Show these; a sample spread evenly over the dataset when left out."""

    most: int = 24
    """How many episodes the sample has."""

    films: int = 4
    """So many episodes get films besides pictures of their cameras; films make the page large."""


def run(arguments: list[str]) -> int:
    """Write the page and print where it is."""
    config = parse(ViewConfig, arguments, "robot-stack data view")
    from robot_stack.datasets.view import write_page

    out = config.out or Path(f"{config.dataset.resolve().name}.html")
    with bars() as shown:
        bar = shown.add_task("episodes", total=None, note="")
        page = write_page(
            config.dataset,
            out,
            episodes=config.episodes,
            most=config.most,
            films=config.films,
            progress=lambda done, total: shown.update(bar, completed=done, total=total),
        )
    print(page)
    return 0
