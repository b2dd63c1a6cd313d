"""Whether a policy belongs to a robot, before anything of a deployment starts."""

from __future__ import annotations

from robot_stack.core.embodiment import Embodiment
from robot_stack.deploy.arguments import PolicyArguments, RobotArguments
from robot_stack.deploy.setting import Setting
from robot_stack.policies.deployment import require_deployable
from robot_stack.sim.measured_senses import MeasuredSenses
from robot_stack.sim.robot_catalog import controller_maker, robot_spec, robot_task
from robot_stack.sim.robot_embodiment import describe_robot
from robot_stack.sim.robots.model import compile_robot


def embodiment_of(setting: Setting, mode: str = "") -> Embodiment:
    """What the robot node will say that its robot is.

    Args:
        setting: which robot with which task.
        mode: action mode; empty for the task's usual one.
    """
    spec, task = robot_spec(setting.robot), robot_task(setting.task)
    model = compile_robot(spec, lambda made: task.furnish(made, spec))
    controller = (controller_maker(mode, setting.robot) or task.controller)(model)
    return describe_robot(
        model,
        state=MeasuredSenses(model, task.state_fields()).fields,
        action=controller.fields,
        control_hz=spec.control_hz,
        cameras=setting.cameras,
        image_height=setting.image_height,
        image_width=setting.image_width,
    )


def require_policy_for(setting: Setting, arguments: RobotArguments, policy: PolicyArguments) -> None:
    """Refuse a policy of another robot. A server is asked whether it lets this robot in; the policy node asks again.

    Raises:
        EmbodimentMismatchError: with every difference, as a sentence.
        PolicyServerError: if no server is there, or it does not take the token.
        ConfigError: if the server's address is none, or there is no token.
        MissingExtraError: if websockets or msgpack is not installed.
    """
    robot = embodiment_of(setting, arguments.mode)
    if setting.trained is None:
        require_server_for(robot, policy)
        return
    require_deployable(setting.trained, robot, cameras=setting.looks, another_model=policy.another_model)


def require_server_for(robot: Embodiment, policy: PolicyArguments) -> None:
    """Refuse a policy server that is not there, does not take the token, or serves a policy of another robot.

    Raises:
        RobotStackError: see :func:`require_policy_for`.
    """
    from robot_stack.deploy.policy_place import server_address
    from robot_stack.runtime.policy_client import RemoteBatchDriver

    RemoteBatchDriver(server_address(policy.policy, policy.token_file), robot).close()
