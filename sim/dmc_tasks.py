"""The tasks of the DeepMind Control Suite: names and what a person would say. Sentences are ours; cheap to import.

Tassa et al., 2018, https://arxiv.org/abs/1801.00690; google-deepmind/dm_control.
"""

from __future__ import annotations

from robot_stack.core.errors import require_name

INSTRUCTIONS: dict[str, str] = {
    "acrobot-swingup": "swing the two links up and balance them upright",
    "acrobot-swingup_sparse": "swing the two links up and balance them upright",
    "ball_in_cup-catch": "swing the ball up and catch it in the cup",
    "cartpole-balance": "keep the pole upright on the cart",
    "cartpole-balance_sparse": "keep the pole upright on the cart",
    "cartpole-swingup": "swing the hanging pole up and balance it on the cart",
    "cartpole-swingup_sparse": "swing the hanging pole up and balance it on the cart",
    "cartpole-two_poles": "swing up and balance a chain of two poles on the cart",
    "cartpole-three_poles": "swing up and balance a chain of three poles on the cart",
    "cheetah-run": "run forward as a planar cheetah",
    "dog-stand": "stand up as a dog",
    "dog-walk": "walk forward as a dog",
    "dog-trot": "trot forward as a dog",
    "dog-run": "run forward as a dog",
    "dog-fetch": "fetch the ball as a dog and bring it to the target",
    "finger-spin": "keep the hinged body spinning by flicking it",
    "finger-turn_easy": "turn the hinged body until its tip lies in the large target",
    "finger-turn_hard": "turn the hinged body until its tip lies in the small target",
    "fish-upright": "hold the fish upright in the water",
    "fish-swim": "swim to the target as a fish",
    "hopper-stand": "stand up on one leg",
    "hopper-hop": "hop forward on one leg",
    "humanoid-stand": "stand up as a humanoid",
    "humanoid-walk": "walk as a humanoid",
    "humanoid-run": "run as a humanoid",
    "humanoid-run_pure_state": "run as a humanoid, from joint positions and velocities only",
    "humanoid_CMU-stand": "stand up as a humanoid with 56 joints",
    "humanoid_CMU-walk": "walk as a humanoid with 56 joints",
    "humanoid_CMU-run": "run as a humanoid with 56 joints",
    "lqr-lqr_2_1": "bring two coupled masses to rest by pushing the first",
    "lqr-lqr_6_2": "bring six coupled masses to rest by pushing the first two",
    "manipulator-bring_ball": "grasp the ball and bring it to the target",
    "manipulator-bring_peg": "grasp the peg and bring it to the target",
    "manipulator-insert_ball": "grasp the ball and put it into the basket",
    "manipulator-insert_peg": "grasp the peg and put it into the slot",
    "pendulum-swingup": "swing the pendulum up and balance it with little torque",
    "point_mass-easy": "move the point to the middle",
    "point_mass-hard": "move the point to the middle while the actuators' directions are unknown",
    "quadruped-walk": "walk forward on four legs",
    "quadruped-run": "run forward on four legs",
    "quadruped-escape": "climb out of the bowl-shaped terrain on four legs",
    "quadruped-fetch": "push the ball to the target on four legs",
    "reacher-easy": "bring the arm's tip into the large target",
    "reacher-hard": "bring the arm's tip into the small target",
    "stacker-stack_2": "stack two boxes at the target",
    "stacker-stack_4": "stack four boxes at the target",
    "swimmer-swimmer6": "swim to the target with six links",
    "swimmer-swimmer15": "swim to the target with fifteen links",
    "walker-stand": "stand up on two legs",
    "walker-walk": "walk forward on two legs",
    "walker-run": "run forward on two legs",
}
"""Per task, named ``domain-task``, what to do in words."""


def split_name(name: str) -> tuple[str, str]:
    """Domain and task of ``"cartpole-swingup"``.

    Raises:
        UnknownNameError: if there is no such task.
    """
    domain, task = require_name("DMControl task", name, INSTRUCTIONS).split("-")
    return domain, task
