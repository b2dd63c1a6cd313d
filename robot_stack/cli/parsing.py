"""Command-line arguments become frozen dataclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeAlias, TypeVar

T = TypeVar("T")

Maybe: TypeAlias = Optional[T]  # noqa: UP045
"""An option that may be left out: ``T | None``, spelt so that tyro takes it without loading typeguard.

To check a default against ``X | None`` or ``tuple[X, ...]``, tyro 1.0 loads typeguard, which loads unittest.mock,
asyncio and ssl: a third of the time in which help is shown. ``typing.Union`` and plain classes it checks by itself.
"""

if TYPE_CHECKING:
    Many: TypeAlias = tuple[T, ...]
    """An option with any number of values."""
else:

    class Many:
        """``tuple[T, ...]`` as tyro itself reads it, under the plain class ``object``; see :data:`Maybe`."""

        def __class_getitem__(cls, item: Any) -> Any:
            """The annotation of a field of several ``item``."""
            from tyro.constructors import ConstructorRegistry, PrimitiveTypeInfo

            spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(tuple[item, ...], set()))
            return Annotated[object, spec]


def parse(kind: type[T], arguments: list[str], prog: str) -> T:
    """Parse arguments into ``kind``, a dataclass whose docstrings are the help.

    Args:
        kind: the dataclass; its fields are spelt with :data:`Maybe` and :class:`Many`.
        arguments: what follows the verb.
        prog: how the command is called.
    """
    import tyro

    return tyro.cli(kind, args=arguments, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))


def default_processes() -> int:
    """Processes that simulate when nobody says how many: one a core, at most 8."""
    import os

    return max(1, min(8, len(os.sched_getaffinity(0))))
