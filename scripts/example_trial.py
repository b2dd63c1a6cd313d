"""Three policies that learnt from 10, 25 and 50 demonstrations, compared blind in simulation; the report goes to docs.

    python scripts/example_trial.py --work trial_example [--out docs/example_trial] [--steps 3000] [--processes 2]

Everything it makes is kept in --work; interrupted, it goes on where it ended. The trials are frozen before they are
run: ``--n-max`` blocks at most, stopped early by the exact sequential Barnard test, Holm over the three pairs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from robot_stack.cli.demo import INPUTS
from robot_stack.cli.main import main as robot_stack
from robot_stack.core.atomic import write_text

DEMONSTRATIONS = (10, 25, 50)
COPIED = ("plan.json", "commitment.json", "unblinded.json")

PLAN = """\
name: {task} from 10, 25 or 50 demonstrations
task: metaworld/{task}
instruction: {task}
policies:
{policies}
conditions: {{seeds: {n_max}, stream: 7}}
rubric: {{milestones: [{milestones}]}}
stopping: {{rule: barnard, alpha: 0.05, n_max: {n_max}}}
horizon: 300
"""


def run(*words: object) -> None:
    print("$ robot-stack", *words, flush=True)
    code = robot_stack([str(word) for word in words])
    if code:
        sys.exit(code)


def train(options: argparse.Namespace, demonstrations: int) -> Path:
    """The bundle of a policy that learnt from so many demonstrations."""
    runs = options.work / "runs" / f"{demonstrations}"
    done = [folder / "policy" for folder in runs.glob("*") if (folder / "policy" / "manifest.json").exists()]
    if done:
        return done[0]
    data = options.work / "demonstrations"
    part = options.work / f"demonstrations_{demonstrations}"
    if demonstrations < max(DEMONSTRATIONS):
        if not part.exists():
            run("data", "split", data, part, "--episodes", f"0-{demonstrations - 1}")
        data = part
    words = ["train", "flow-mlp", "--data", data, "--steps", options.steps, "--runs", runs, "--threads", 1]
    run(*words, "--state", *INPUTS, "--seed", demonstrations)
    return next(folder / "policy" for folder in runs.glob("*") if (folder / "policy" / "manifest.json").exists())


def milestones(task: str) -> list[str]:
    from robot_stack.cli.worlds import world_maker

    world = world_maker(task)()
    try:
        return [name for name in world.task.milestones if name != "success"]
    finally:
        world.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("trial_example"))
    parser.add_argument("--out", type=Path, default=Path("docs/example_trial"))
    parser.add_argument("--task", default="pick-place")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--n-max", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    data, store = options.work / "demonstrations", options.work / "store"
    words = ["collect", options.task, "--out", data, "--episodes", max(DEMONSTRATIONS), "--noise", 0.1]
    run(*words, "--processes", options.processes)
    bundles = {n: train(options, n) for n in DEMONSTRATIONS}
    if not store.exists():
        policies = "\n".join(f"  {n} demonstrations: {bundle}" for n, bundle in bundles.items())
        text = PLAN.format(
            task=options.task, policies=policies, n_max=options.n_max, milestones=", ".join(milestones(options.task))
        )
        write_text(options.work / "plan.yaml", text)
        run("trials", "plan", store, "--file", options.work / "plan.yaml")
    run("trials", "run", store, "--sim", "--processes", options.processes, "--slots", 16)
    run("trials", "verify", store, "--policies")
    run("trials", "unblind", store, "--by", "scripts/example_trial.py")
    run("trials", "report", store, "--out", options.out)
    for name in COPIED:
        shutil.copyfile(store / name, options.out / name)


if __name__ == "__main__":
    main()
