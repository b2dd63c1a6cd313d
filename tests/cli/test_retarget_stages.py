"""What a user sees while one motion is retargeted."""

from __future__ import annotations

import io

from rich.console import Console

from robot_stack.cli.retarget_stages import Stages
from robot_stack.retarget.progress import StepProgress


def test_a_step_says_how_far_how_fast_and_how_long() -> None:
    now = [0.0]
    stages = Stages("walk", Console(file=io.StringIO()), lambda: now[0])
    assert stages.words(StepProgress("read")) == "read"
    assert stages.words(StepProgress("first pass", 10, 410)) == "first pass, 10 of 410 frames"
    now[0] = 2.0
    assert stages.words(StepProgress("first pass", 210, 410)) == "first pass, 210 of 410 frames, 100 a second, 2 s left"
    now[0] = 5.0
    assert stages.words(StepProgress("second pass", 0, 16, "rounds")) == "second pass, 0 of at most 16 rounds"
    now[0] = 6.0
    assert (
        stages.words(StepProgress("second pass", 2, 16, "rounds"))
        == "second pass, 2 of at most 16 rounds, at most 7 s left"
    )


def test_it_is_one_line_in_a_terminal_and_nothing_in_a_pipe() -> None:
    for terminal in (True, False):
        out = io.StringIO()
        with Stages("[walk] of a very long name", Console(file=out, force_terminal=terminal)) as stages:
            stages(StepProgress("first pass", 0, 10))
        assert ("[walk] of a very lo…: first pass, 0 of 10 frames" in out.getvalue()) == terminal
        assert terminal or not out.getvalue()
