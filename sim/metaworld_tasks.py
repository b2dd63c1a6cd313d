"""The 50 Meta-World tasks: what they are called, what a person would say, and which partial goals they have.

Sentences are ours. This module is cheap to import; the milestones of a group are in
:mod:`robot_stack.sim.metaworld_milestones`.

Meta-World: Yu et al., CoRL 2019, https://arxiv.org/abs/1910.10897; Farama-Foundation/Metaworld.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import require_name

Group = Literal["reach", "move", "lift"]
"""Which milestones a task has: those of :data:`robot_stack.sim.metaworld_milestones.MILESTONES`."""


@dataclass(frozen=True)
class TaskInfo:
    """What is known about one Meta-World task without making it."""

    name: str
    """Without the version, e.g. ``"pick-place"``."""

    instruction: str
    """What to do, in words."""

    group: Group
    """Which milestones it has, see :data:`Group`."""

    tags: tuple[str, ...]
    """What it is about."""


_TABLE: tuple[tuple[str, str, Group, str], ...] = (
    ("assembly", "pick up the wrench by its handle and put its ring over the peg", "lift", "pick place"),
    ("basketball", "pick up the basketball and put it through the hoop", "lift", "pick place"),
    ("bin-picking", "take the object out of one bin and drop it into the other bin", "lift", "pick place"),
    ("box-close", "pick up the lid and close the box with it", "lift", "pick place"),
    ("button-press-topdown", "press the button from above", "move", "press"),
    ("button-press-topdown-wall", "reach over the wall and press the button from above", "move", "press wall"),
    ("button-press", "press the button on the front of the box", "move", "press"),
    ("button-press-wall", "reach over the wall and press the button on the front of the box", "move", "press wall"),
    ("coffee-button", "press the button of the coffee machine", "move", "press"),
    ("coffee-pull", "pull the mug away from the coffee machine to the mark", "move", "pull"),
    ("coffee-push", "push the mug under the coffee machine", "move", "push"),
    ("dial-turn", "turn the dial by half a turn", "move", "turn"),
    ("disassemble", "lift the wrench off the peg", "lift", "pick"),
    ("door-close", "close the door of the safe", "move", "close door"),
    ("door-lock", "lock the door by turning the lock clockwise", "move", "turn door"),
    ("door-open", "open the door of the safe by its handle", "move", "open door"),
    ("door-unlock", "unlock the door by turning the lock counter-clockwise", "move", "turn door"),
    ("drawer-close", "push the drawer shut", "move", "close drawer"),
    ("drawer-open", "pull the drawer open", "move", "open drawer"),
    ("faucet-open", "open the tap by turning its handle counter-clockwise", "move", "open turn"),
    ("faucet-close", "close the tap by turning its handle clockwise", "move", "close turn"),
    ("hammer", "pick up the hammer and drive the nail into the box", "lift", "pick tool"),
    ("hand-insert", "put the gripper into the hole", "reach", "insert"),
    ("handle-press-side", "press the handle down from the side", "move", "press"),
    ("handle-press", "press the handle down", "move", "press"),
    ("handle-pull-side", "pull the handle up from the side", "move", "pull"),
    ("handle-pull", "pull the handle up", "move", "pull"),
    ("lever-pull", "pull the lever up by a quarter turn", "move", "pull turn"),
    ("peg-insert-side", "pick up the peg and push it into the hole in the side of the box", "lift", "pick insert"),
    ("pick-place-wall", "pick up the puck and bring it over the wall to the mark", "lift", "pick place wall"),
    ("pick-out-of-hole", "take the puck out of the hole and bring it to the mark", "lift", "pick"),
    ("reach", "move the gripper to the mark", "reach", "reach"),
    ("push-back", "pull the puck back to the mark", "move", "push"),
    ("push", "push the puck to the mark", "move", "push"),
    ("pick-place", "pick up the puck and bring it to the mark", "lift", "pick place"),
    ("plate-slide", "slide the plate into the cabinet in front", "move", "slide"),
    ("plate-slide-side", "slide the plate sideways into the cabinet", "move", "slide"),
    ("plate-slide-back", "slide the plate back out of the cabinet to the mark", "move", "slide"),
    ("plate-slide-back-side", "slide the plate sideways out of the cabinet to the mark", "move", "slide"),
    ("peg-unplug-side", "pull the peg out of the side of the box", "move", "pull"),
    ("soccer", "kick the ball into the goal", "move", "push"),
    ("stick-push", "pick up the stick and push the jug to the mark with it", "lift", "pick tool push"),
    ("stick-pull", "pick up the stick, hook it into the jug's handle and pull the jug to the mark", "lift",
     "pick tool pull"),
    ("push-wall", "push the puck around the wall to the mark", "move", "push wall"),
    ("reach-wall", "move the gripper around the wall to the mark", "reach", "reach wall"),
    ("shelf-place", "pick up the block and put it on the shelf", "lift", "pick place"),
    ("sweep-into", "sweep the block into the hole", "move", "push"),
    ("sweep", "sweep the block off the table to the mark", "move", "push"),
    ("window-open", "slide the window open to the right", "move", "open window"),
    ("window-close", "slide the window shut to the left", "move", "close window"),
)  # fmt: skip

TASKS: dict[str, TaskInfo] = {n: TaskInfo(n, text, group, tuple(tags.split())) for n, text, group, tags in _TABLE}
"""All tasks by name."""


def task_info(name: str) -> TaskInfo:
    """The task called ``name``, with or without the version (``"pick-place"`` or ``"pick-place-v3"``).

    Raises:
        UnknownNameError: if there is none.
    """
    return TASKS[require_name("Meta-World task", name.removesuffix("-v3"), TASKS)]
