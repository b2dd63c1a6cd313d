"""``robot-stack data split``: some episodes of a dataset, or shares of them, become datasets of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from robot_stack.cli.bars import bars
from robot_stack.cli.parsing import Many, parse


@dataclass(frozen=True)
class SplitConfig:
    """Copy the episodes that fit every condition into OUT, or deal them into OUT/<name> with --shares.

    Numbers keep their bits, videos are not re-encoded. Example: robot-stack data split demos parts --shares train=0.9
    valid=0.1
    """

    dataset: Annotated[Positional[Path], arg(metavar="DATASET")]
    """Folder of the dataset."""

    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """The new folder."""

    shares: Many[str] = ()
    """Deal at random, for example train=0.9 valid=0.1."""

    seed: int = 0
    """Of the dealing; the same seed deals the same."""

    episodes: Many[str] = ()
    """These only: numbers and ranges, for example 0 3 10-19."""

    without: Many[str] = ()
    """All but these: numbers and ranges."""

    task: str = ""
    """Those with this instruction."""

    outcome: str = ""
    """Those that ended in success, failure, or unknown."""

    driver: str = ""
    """Those driven by this one, for example expert."""

    filter_key: str = ""
    """Those that were listed under this filter key where they were imported from, for example train."""


def run(arguments: list[str]) -> int:
    """Split and print the new folders."""
    config = parse(SplitConfig, arguments, "robot-stack data split")
    from robot_stack.datasets.source import Source
    from robot_stack.datasets.split import choose, write_chosen, write_shares

    source = Source(config.dataset)
    chosen = choose(
        source.notes,
        episodes=parse_ranges(config.episodes),
        without=parse_ranges(config.without),
        task=config.task,
        outcome=config.outcome,
        driver=config.driver,
        filter_key=config.filter_key,
    )
    with bars() as shown:
        bar = shown.add_task("episodes", total=None, note="")

        def progress(done: int, total: int) -> None:
            shown.update(bar, completed=done, total=total)

        if config.shares:
            written = write_shares(
                source, chosen, parse_shares(config.shares), config.out, seed=config.seed, progress=progress
            )
        else:
            written = {"": write_chosen(source, chosen, config.out, progress=progress)}
    for path in written.values():
        print(path)
    return 0


def parse_ranges(words: tuple[str, ...]) -> tuple[int, ...]:
    """``("0", "3", "10-12")`` as ``(0, 3, 10, 11, 12)``.

    Raises:
        ConfigError: on anything else.
    """
    from robot_stack.core.errors import ConfigError

    numbers: set[int] = set()
    for word in (part for text in words for part in text.split(",") if part):
        first, dash, last = word.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError("this names no episodes", got=repr(word), expected="numbers and ranges, e.g. 0 3 10-19")
        numbers |= set(range(int(first), int(last if dash else first) + 1))
    return tuple(sorted(numbers))


def parse_shares(words: tuple[str, ...]) -> dict[str, float]:
    """``("train=0.9", "valid=0.1")`` as a mapping.

    Raises:
        ConfigError: on anything else.
    """
    from robot_stack.core.errors import ConfigError

    shares: dict[str, float] = {}
    for word in words:
        name, equals, number = word.partition("=")
        try:
            share = float(number)
        except ValueError:
            share = float("nan")
        if not name or not equals or "/" in name or name in shares or not 0 < share <= 1:
            raise ConfigError("this is no share", got=repr(word), expected="NAME=SHARE, e.g. train=0.9, each name once")
        shares[name] = share
    return shares
