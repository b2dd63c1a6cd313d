"""What the command line takes for granted about a task."""

from __future__ import annotations

import pytest

from robot_stack.cli.worlds import usual_noise
from robot_stack.core.errors import UnknownNameError


def test_demonstrations_waver_as_suits_their_task() -> None:
    """Meta-World's tenth of an action would be ten centimetres of a robot's hand."""
    assert usual_noise("metaworld/pick-place") == usual_noise("pick-place") == 0.1
    assert usual_noise("panda/drawer") == usual_noise("aloha/lift-tray") == 0.003
    assert usual_noise("locoman/walk") == 0.08
    with pytest.raises(UnknownNameError, match="drawer"):
        usual_noise("panda/drawr")
