"""Eight Meta-World tasks, 50 demonstrations each, several seeds: diffusion policies, MLP, expert; images on one task.

    python benchmarks/metaworld_study.py --out study [--seeds 3] [--processes 2]

Each seed has its own demonstrations, its own training and its own held-out starts. Everything is kept in --out; an
interrupted study goes on where it ended. ``--only-table`` prints the table of what is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from robot_stack.cli.bars import bars, collection_bar, evaluation_bar
from robot_stack.cli.collect import CollectArgs, collect_into
from robot_stack.cli.demo import INPUTS
from robot_stack.cli.eval import device_of
from robot_stack.cli.subjects import expert_subject, policy_subject
from robot_stack.cli.train import TrainArgs, make_job
from robot_stack.cli.train_many import Training, train_many
from robot_stack.cli.worlds import WorldConfig, world_maker
from robot_stack.core.atomic import write_text
from robot_stack.evaluation.config import EvaluationConfig
from robot_stack.evaluation.evaluate import evaluate
from robot_stack.evaluation.intervals import wilson
from robot_stack.evaluation.results import load_result
from robot_stack.runtime.fleet import Fleet, FleetConfig

TASKS = ("reach", "drawer-open", "hammer", "peg-insert-side", "push", "pick-place", "assembly", "shelf-place")
IMAGE_TASK = "drawer-open"
IMAGES = WorldConfig(cameras=("corner",), image_size=64)
PROPRIOCEPTION = ("hand_position", "gripper_opening")
HORIZON = 300


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to learn a task."""

    name: str
    preset: str
    steps: int
    world: WorldConfig = WorldConfig()
    state: tuple[str, ...] = INPUTS

    @property
    def cameras(self) -> tuple[str, ...] | None:
        return self.world.cameras or None


def arms(options: argparse.Namespace, task: str) -> list[Arm]:
    """The policies trained on a task."""
    out = [
        Arm("diffusion policy", options.preset, options.steps),
        Arm("diffusion policy, MLP denoiser", "flow-mlp", options.steps),
        Arm("behaviour cloning MLP", "bc-mlp", options.steps),
    ]
    if task == IMAGE_TASK and options.image_steps:
        out.append(Arm("diffusion policy, images", "image-small", options.image_steps, IMAGES, PROPRIOCEPTION))
    return out


def dataset(options: argparse.Namespace, task: str, seed: int) -> Path:
    return options.out / "datasets" / f"{task}_{seed}"


def run_folder(options: argparse.Namespace, task: str, seed: int, arm: Arm) -> Path:
    return options.out / "runs" / f"{task}_{seed}_{arm.name.replace(' ', '_').replace(',', '')}"


def result_folder(options: argparse.Namespace, task: str, seed: int, who: str) -> Path:
    return options.out / "evaluations" / f"{task}_{seed}" / who.replace(" ", "_").replace(",", "")


def collect(options: argparse.Namespace, task: str, seed: int) -> None:
    world = IMAGES if task == IMAGE_TASK and options.image_steps else WorldConfig()
    args = CollectArgs(
        task,
        out=dataset(options, task, seed),
        episodes=options.demonstrations,
        noise=options.noise,
        world=world,
        processes=options.processes,
        stream=seed,
    )
    with bars() as shown:
        collect_into(args, collection_bar(shown, f"{task} {seed}", args.episodes))


def train(options: argparse.Namespace, seeds: list[int], tasks: tuple[str, ...]) -> None:
    trainings = []
    for task in tasks:
        for seed in seeds:
            for arm in arms(options, task):
                args = TrainArgs(
                    arm.preset,
                    data=(dataset(options, task, seed),),
                    steps=arm.steps,
                    batch_size=64 if arm.cameras else None,
                    state=arm.state,
                    cameras=arm.cameras,
                    seed=seed,
                )
                folder = run_folder(options, task, seed, arm)
                trainings.append(Training(f"{task} {seed}, {arm.name}", make_job(args), folder))
    train_many(trainings, processes=options.processes, device=options.device)


def evaluate_all(options: argparse.Namespace, task: str, seed: int) -> None:
    config = EvaluationConfig(episodes=options.episodes, stream=seed, horizon=HORIZON)
    device = device_of(options.device)
    with bars() as shown, Fleet(FleetConfig(processes=options.processes, slots=8)) as fleet:
        subjects = [
            (
                arm.world,
                policy_subject(
                    run_folder(options, task, seed, arm) / "policy", task, arm.world, name=arm.name, device=device
                ),
            )
            for arm in arms(options, task)
        ]
        for world, subject in [*subjects, (WorldConfig(), expert_subject(task))]:
            folder = result_folder(options, task, seed, subject.name)
            listen = evaluation_bar(shown, f"{task} {seed}, {subject.name}", config.episodes)
            evaluate(world_maker(task, world), subject, config, fleet=fleet, folder=folder, progress=listen)


def table(options: argparse.Namespace) -> str:
    """Markdown table of everything evaluated so far: successes over all seeds, with Wilson intervals."""
    names = (
        "diffusion policy",
        "diffusion policy, MLP denoiser",
        "behaviour cloning MLP",
        "diffusion policy, images",
        "expert",
    )
    lines = [f"| task | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    totals = {name: [0, 0] for name in names}
    for task in options.tasks:
        cells = []
        for name in names:
            found = [
                load_result(path).success
                for seed in range(options.seeds)
                if (path := result_folder(options, task, seed, name) / "evaluation.json").exists()
            ]
            if not found:
                cells.append("")
                continue
            successes, trials = sum(f.successes for f in found), sum(f.trials for f in found)
            totals[name] = [totals[name][0] + successes, totals[name][1] + trials]
            pooled = wilson(successes, trials)
            each = ", ".join(str(f.successes) for f in found)
            cells.append(f"{pooled.rate:.0%} [{pooled.low:.0%}, {pooled.high:.0%}] ({each} of {found[0].trials})")
        lines.append(f"| {task} | {' | '.join(cells)} |")
    mean = [f"**{s / n:.1%}**" if n else "" for s, n in totals.values()]
    lines.append(f"| all | {' | '.join(mean)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("study"))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--demonstrations", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--preset", default="flow-small", help="of the diffusion policy")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--image-steps", type=int, default=1200, help="0 leaves the image policy out")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only-table", action="store_true")
    options = parser.parse_args()
    if not options.only_table:
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(options.out / "options.json", json.dumps(vars(options), default=str, indent=2))
        for seed in range(options.seeds):
            for task in options.tasks:
                collect(options, task, seed)
            train(options, [seed], tuple(options.tasks))
            for task in options.tasks:
                evaluate_all(options, task, seed)
            print(table(options), flush=True)
    else:
        print(table(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
