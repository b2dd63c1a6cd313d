"""The G1's loop and an emulated G1 at the two ends of its messages, in simulated time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_reports import Acted, Observed
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.state_machine import Event, State
from robot_stack.hardware.unitree_g1.arm_sdk import ArmSdkBus
from robot_stack.hardware.unitree_g1.bus import G1Bus
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.direct import DirectLink
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatedG1, EmulatorConfig
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task


class Led:
    """A robot that is led by a script; every message is the real one, exact to a period."""

    def __init__(self, task: str, base: str = "estimated", *, mode: str = "whole_body", arms: bool = False) -> None:
        self.plant = MujocoPlant(robot_spec("g1"), robot_task(task))
        self.robot = EmulatedG1(self.plant.read(), EmulatorConfig(), self.plant.period_s, self.plant.hoist)
        self.link = DirectLink(self.robot, self.plant, "arm_sdk" if arms else "lowcmd")
        config = RobotNodeConfig(
            robot="g1",
            task=task,
            mode=mode,
            simulated=True,
            base=base,  # type: ignore[arg-type]
            robot_parameters=json.dumps({"arms_only": arms}),
        )
        self.bus = (ArmSdkBus if arms else G1Bus)(self.link, self.link, G1Config())
        parts = assemble(config, self.link)
        assert type(parts.bus) is type(self.bus)
        self.parts = replace(parts, bus=self.bus)
        self.loop = RobotLoop(self.parts, self._hear)
        self.observed: Observed | None = None
        self.sent = np.zeros(0)
        self.action: Callable[[], np.ndarray] | None = None
        self.deadman = True
        self._ticks = 0

    def engage(self) -> None:
        self.bus.open()
        self.loop.engage(self.link.now())

    def go(self, most_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let robot time pass, at most so much; whether what was waited for came."""
        loop, link = self.loop, self.link
        for _ in range(round(most_s * 500)):
            now = link.now()
            self._ticks += 1
            loop.inputs.hear_tracked(self.plant.tracked())
            if self.deadman:
                loop.inputs.hear_deadman(True, self._ticks)
            if self._ticks % 50 == 0:
                self._offer()
            loop.tick(now)
            if until():
                return True
            link.sleep_until(now + loop.period_s)
        return until()

    def ask(self, event: Event, state: State, most_s: float = 5.0) -> None:
        """Ask for something, and wait until the robot is there."""
        self.loop.inputs.ask(event)
        if not self.go(most_s, lambda: self.loop.state is state):
            raise AssertionError(f"{event} did not lead to {state}: {self.loop.status(self.link.now())}")

    def arm(self) -> None:
        """From engaged to armed."""
        self.engage()
        self.go(0.1)
        self.ask(Event.READY, State.HOLD)
        self.go(1.0)
        self.ask(Event.ARM, State.ARMED)

    @property
    def height(self) -> float:
        """Of the pelvis [m]."""
        return float(self.plant.tracked()["base_position"][2])

    def hand(self, side: str = "left") -> np.ndarray:
        """Where a hand truly is, shape ``(3,)`` [m]."""
        return self.plant.data.site_xpos[self.plant.robot.site(f"{side}_hand")].copy()

    def _hear(self, report: Any) -> None:
        if isinstance(report, Observed):
            self.observed = report
        if isinstance(report, Acted):
            self.sent = report.sent

    def _offer(self) -> None:
        """Every tenth of a second a chunk of half a second."""
        if self.action is None or self.observed is None:
            return
        embodiment, actions = self.parts.embodiment, np.tile(self.action(), (25, 1))
        offsets = 0.02 * np.arange(1, 26)
        names = tuple(embodiment.action_names)
        chunk = StampedChunk(self.observed.stamp_ns, names, actions, offsets, embodiment.fingerprint())
        self.loop.inputs.hear_chunk(chunk)
