"""Where a deployed policy runs: in a child process, in this one, or at a server's address; and how it is revived."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from robot_stack.core.driver import BatchDriver
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import PlanningDriver, RunningPlan, nothing_running
from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.policy_loading import load_served
from robot_stack.policies.deployment import require_deployable
from robot_stack.runtime.policy_client import PolicyServerError, RemoteBatchDriver, ServerAddress, Timeouts
from robot_stack.runtime.policy_process import PolicyProcess, ProcessDriver
from robot_stack.runtime.token_file import USUAL, read_token

LONGEST_LOAD_S = 300.0
"""A policy that is not loaded after so long has failed [s]."""


class PolicyPlace(Protocol):
    """A policy for one robot. All methods may take long and are called from one thread."""

    @property
    def driver(self) -> BatchDriver:
        """Decides."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras it looks through."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it can be asked, as far as is known without asking."""
        ...

    def revive(self) -> None:
        """After an answer that did not come: start or connect anew, and wait for it; the episode has to begin anew.

        Raises:
            RobotStackError: why it is not back; may be tried again.
        """
        ...

    def close(self) -> None:
        """Let go of it; idempotent."""
        ...


class InThisProcess:
    """A bundle in this process: nothing to copy, and nothing that stops it if it hangs."""

    def __init__(self, config: PolicyNodeConfig, robot: Embodiment) -> None:
        served = load_served(config.policy, config.device, config.source, config.another_model)
        served.check_robot(robot)
        self.driver, self.cameras = served.driver, served.cameras
        self.alive = True

    def revive(self) -> None:
        """There is nothing to be done."""

    def close(self) -> None:
        """There is nothing to be done."""


class InOwnProcess:
    """A bundle in a child process, which is ended and another started when it does not answer."""

    def __init__(self, config: PolicyNodeConfig, robot: Embodiment) -> None:
        from robot_stack.deploy.policy_loading import bundle_embodiment
        from robot_stack.policies.bundle import bundle_info

        self.cameras = tuple(bundle_info(Path(config.policy))["config"]["inputs"]["cameras"])
        require_deployable(
            bundle_embodiment(config.policy), robot, cameras=self.cameras, another_model=config.another_model
        )
        make = functools.partial(load_served, config.policy, config.device, config.source, config.another_model)
        self._process = PolicyProcess(make, LONGEST_LOAD_S)
        try:
            self.driver = ProcessDriver(self._process, robot, timeouts_of(config))
        except BaseException:
            self._process.close()
            raise

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs and is connected to."""
        return self.driver.connected

    def revive(self) -> None:
        """End the child, and start another."""
        self.close()
        self.driver.connect()

    def close(self) -> None:
        """End the child."""
        self.driver.close()
        self._process.close()


class AtServer:
    """A policy server, here or on another machine. It may go and come back, but not as another policy."""

    def __init__(self, config: PolicyNodeConfig, robot: Embodiment) -> None:
        self._config = config
        self.driver = RemoteBatchDriver(server_address(config.policy, config.token_file), robot, timeouts_of(config))
        self._welcome = self.driver.welcome
        self.cameras = self._welcome.cameras

    @property
    def alive(self) -> bool:
        """Whether the connection is open; a machine that fell silent is noticed after at most 40 s."""
        return self.driver.connected

    def revive(self) -> None:
        """Connect anew, with the token that is in the file now."""
        self.driver.address = server_address(self._config.policy, self._config.token_file)
        self.driver.connect()
        before, now = self._welcome, self.driver.welcome
        if (before.policy, before.history, before.cameras) != (now.policy, now.history, now.cameras):
            self.driver.close()
            raise PolicyServerError(
                "another policy answers at this address than before",
                where=self._config.policy,
                got=now.policy,
                expected=before.policy,
                remedy="serve the one of before, or start the policy node again",
            )

    def close(self) -> None:
        """Leave the server."""
        self.driver.close()


def server_address(url: str, token_file: str) -> ServerAddress:
    """Where a policy server is, with the token in a file.

    Args:
        url: ``ws://host:port``.
        token_file: empty for the usual place.

    Raises:
        ConfigError: if the address is none, or there is no token.
    """
    return ServerAddress(url, read_token(Path(token_file) if token_file else USUAL))


def open_place(config: PolicyNodeConfig, robot: Embodiment) -> PolicyPlace:
    """The policy that a configuration names, checked against the robot and loaded.

    Raises:
        EmbodimentMismatchError: if it was trained for another robot; with every difference.
        BundleError: if the bundle is missing or damaged.
        PolicyServerError: if no server is there, or it does not let us in.
        ConfigError: if no policy is named.
    """
    if not config.policy:
        raise ConfigError("no policy is named", remedy="set the parameter 'policy' to a bundle or to ws://host:port")
    if config.remote:
        return AtServer(config, robot)
    config = replace(config, policy=str(Path(config.policy).expanduser()))
    return InThisProcess(config, robot) if config.place == "in_process" else InOwnProcess(config, robot)


def timeouts_of(config: PolicyNodeConfig) -> Timeouts:
    """How long to wait for a policy, in real time."""
    return Timeouts(connect_s=10.0, reset_s=60.0, act_s=config.answer_timeout_s / config.clock_speed)


def warm_up(place: PolicyPlace, robot: Embodiment, instruction: str) -> tuple[int, int]:
    """Ask once before anything moves: the first decision of a network is its slowest.

    Returns:
        Steps that the policy is meant to execute of a chunk, and steps that it plans ahead.

    Raises:
        RobotStackError: what the policy says against it; an instruction that it does not know, for example.
    """
    driver = place.driver
    images = {name: np.zeros(robot.camera(name).shape, np.uint8) for name in place.cameras}
    state = np.zeros(robot.state_size)
    history = tuple(Observation(state, images, 0.0, number) for number in range(driver.history))
    driver.reset(0, instruction, 0)
    executed = len(driver.act([0], [history])[0])
    if not isinstance(driver, PlanningDriver):
        return executed, executed
    plan = driver.plan([0], [history], [nothing_running(robot.action_size)])[0].actions
    if driver.continues:  # the first backward pass is slower still
        driver.plan([0], [history], [RunningPlan(plan, np.linspace(1.0, 0.0, len(plan)))])
    return executed, len(plan)
