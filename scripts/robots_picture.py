"""The picture of all robots at work in the README: each task's scripted operator at the moment of success.

python scripts/robots_picture.py docs/media/robots.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.observation import Observation
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.robot_catalog import TASKS, RobotWorldConfig, make_operator, make_robot_world

HEIGHT, WIDTH, COLUMNS, SEED = 240, 320, 4, 1


class LastPictures:
    """Keeps a picture of every tenth step, and the last."""

    def __init__(self, robot: Any) -> None:
        self.robot, self.images = robot, []

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        self.images = []

    def on_step(self, step: Step) -> None:
        if step.index % 10 == 0 or step.score.success:
            self.images.append(self.robot.render("", HEIGHT, WIDTH))

    def on_end(self, result: EpisodeResult | None) -> None:
        pass


def picture(task: str) -> np.ndarray:
    """What the task looks like shortly before it is done."""
    world = make_robot_world(RobotWorldConfig(task, quality="full", dump_folder=""))
    pictures = LastPictures(world.robot)
    run_episode(world.robot, make_operator(world), world.task, seed=SEED, subscribers=[pictures])
    world.close()
    image = pictures.images[-3].copy()
    cv2.putText(image, task, (8, HEIGHT - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    return image


def main() -> int:
    images = [picture(task) for task, entry in TASKS.items() if entry.operator]
    images += [np.full_like(images[0], 255)] * (-len(images) % COLUMNS)
    rows = [np.concatenate(images[i : i + COLUMNS], axis=1) for i in range(0, len(images), COLUMNS)]
    sheet = np.concatenate(rows, axis=0)
    cv2.imwrite(str(Path(sys.argv[1])), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return 0


if __name__ == "__main__":
    sys.exit(main())
