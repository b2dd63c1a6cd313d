"""``robot-stack retarget keypoints``: the keypoint table of a robot, proposed from its MJCF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_stack.cli.parsing import Maybe, parse


@dataclass(frozen=True)
class RetargetKeypointsArgs:
    """Propose where a robot has hips, knees, hands and soles, by names and geometry; look at it, then edit the JSON."""

    robot: Positional[str]
    """An MJCF with one robot on a free base, or the name of a robot."""

    out: Maybe[Path] = None
    """Write the table as JSON here, for robot-stack retarget --table."""

    image: Maybe[Path] = None
    """Write a picture of the robot with its keypoints here (PNG)."""


def run(arguments: list[str]) -> int:
    """Print the proposal, and write it where asked."""
    args = parse(RetargetKeypointsArgs, arguments, "robot-stack retarget keypoints")
    from robot_stack.retarget.keypoint_file import write_table
    from robot_stack.retarget.keypoint_proposal import propose
    from robot_stack.retarget.mjcf_robot import spec_from_mjcf
    from robot_stack.sim.robot_catalog import robot_spec
    from robot_stack.sim.robots.model import compile_robot

    spec = spec_from_mjcf(args.robot) if args.robot.endswith(".xml") else robot_spec(args.robot)
    proposal = propose(compile_robot(spec))
    print(proposal.text())
    if args.out is not None:
        write_table(args.out, proposal.table)
        print(f"table: {args.out.resolve()}")
    if args.image is not None:
        from robot_stack.evaluation.figures import save_image
        from robot_stack.retarget.keypoint_image import table_image

        save_image(table_image(spec, proposal.table), args.image)
        print(f"picture: {args.image.resolve()}")
    return 0
