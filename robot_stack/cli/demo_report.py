"""The demo's results as a report and as pictures."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from robot_stack.cli.demo import BASELINE, DIFFUSION, DemoArgs, dataset_of, evaluation_of, run_of, short

if TYPE_CHECKING:
    import numpy as np

    from robot_stack.evaluation.figures import Curve, Rate
    from robot_stack.evaluation.report import Clip, Section, Table
    from robot_stack.evaluation.results import EvaluationResult


def write_demo_report(args: DemoArgs, results: dict[str, list[EvaluationResult]], times: dict[str, float]) -> Path:
    """Write ``report.html`` and ``pictures/`` into the demo's folder.

    Args:
        args: of the demo.
        results: of each task, in the order of the report.
        times: wall-clock time of each stage [s].

    Returns:
        The path of the report.
    """
    from robot_stack.evaluation.report import Report, write_report

    report = Report(
        title="robot_stack: from demonstrations to an evaluated policy",
        summary=(
            f"{args.demonstrations} demonstrations of each task by a scripted expert; a diffusion policy and a plain "
            f"behaviour-cloning MLP trained on the same data; {args.episodes} episodes each from unseen starts."
        ),
        sections=tuple(_section(args, task, of_task) for task, of_task in results.items()),
        facts=_facts(args, results, times),
    )
    _pictures(args, results)
    return write_report(report, args.out / "report.html")


def _section(args: DemoArgs, task: str, results: list[EvaluationResult]) -> Section:
    from robot_stack.evaluation.report import Section

    missing = dict.fromkeys(r.videos_missing for r in results if r.videos_missing)
    return Section(
        title=short(task),
        instruction=results[0].instruction,
        rates=tuple(_rate(result) for result in results),
        comparisons=_comparisons(results),
        table=_table(results),
        curves=tuple(_curve(args, task, who) for who in (DIFFUSION, BASELINE)),
        clips=tuple(clip for result in results if (clip := _clip(args, task, result)) is not None),
        notes=tuple(f"Some videos are missing: {why}" for why in missing),
    )


def _rate(result: EvaluationResult) -> Rate:
    from robot_stack.evaluation.figures import Rate

    found = result.success
    return Rate(result.name, found.successes, found.trials, found.low, found.high)


def _comparisons(results: list[EvaluationResult]) -> tuple[str, ...]:
    from robot_stack.evaluation.compare import compare

    sentences = []
    for pair in compare(results).pairs:
        gap = pair.difference
        sentences.append(
            f"{pair.first} against {pair.second} on the same {pair.table.pairs} starts: {100 * gap.value:+.0f} points "
            f"(95% interval {100 * gap.low:+.0f} to {100 * gap.high:+.0f}; exact McNemar test with Holm's correction "
            f"p = {pair.p_adjusted:.2g})."
        )
    return tuple(sentences)


def _table(results: list[EvaluationResult]) -> Table:
    from robot_stack.evaluation.report import Table

    names = [milestone.name for milestone in results[0].milestones if milestone.name != "success"]
    headings = ("", "success", "95% interval", "median steps", *names, "time to decide")
    rows = []
    for result in results:
        steps = result.steps_to_success
        timing = result.timing
        timed = timing.decisions > 0
        rows.append(
            (
                result.name,
                f"{result.success.successes}/{result.success.trials}",
                f"{result.success.low:.0%} – {result.success.high:.0%}",
                f"{steps.median:.0f}" if steps else "–",
                *(f"{milestone.reached.rate:.0%}" for milestone in result.milestones if milestone.name != "success"),
                f"{1e3 * timing.latency_median_s:.1f} ms" if timed else "–",
            )
        )
    return Table(headings, tuple(rows))


def _curve(args: DemoArgs, task: str, who: str) -> Curve:
    import numpy as np

    from robot_stack.evaluation.figures import Curve
    from robot_stack.training.event_log import read_events

    events = read_events(run_of(args, task, who) / "events.jsonl", "train")
    points = np.array([(e["step"], e["loss"]) for e in events if e.get("loss") is not None])
    label = f"{who} ({'flow matching' if who == DIFFUSION else 'squared error'})"
    return Curve(label, points[:, 0], points[:, 1])


def _clip(args: DemoArgs, task: str, result: EvaluationResult) -> Clip | None:
    from robot_stack.evaluation.report import Clip

    path = evaluation_of(args, task, result.name) / result.montage
    if not result.montage or not path.is_file():
        return None
    return Clip(path, f"{result.name}, the first {args.films} held-out starts, at half speed")


def _facts(
    args: DemoArgs, results: dict[str, list[EvaluationResult]], times: dict[str, float]
) -> tuple[tuple[str, str], ...]:
    provenance = next(iter(results.values()))[0].provenance
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    code = provenance.get("code") or {}
    libraries = provenance.get("libraries") or {}
    return (
        *((f"{stage} took", f"{seconds:.0f} s") for stage, seconds in times.items()),
        ("largest process", f"{largest / 1024**2:.2f} GiB"),
        ("datasets", ", ".join(str(dataset_of(args, task)) for task in results)),
        ("policies", ", ".join(str(run_of(args, task, DIFFUSION) / "policy") for task in results)),
        (
            "diffusion policy",
            f"flow matching, 1-D U-Net, {args.steps} updates; {_parameters(args, results, DIFFUSION)}",
        ),
        ("MLP", f"squared error, {args.baseline_steps} updates; {_parameters(args, results, BASELINE)}"),
        ("demonstrations", f"action noise of standard deviation {args.noise:g}, failures left out"),
        ("code", str(code.get("commit", "not a checkout"))[:12] + (" with changes" if len(code) > 1 else "")),
        ("libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())),
        ("made", str(provenance.get("time_utc", ""))),
    )


def _parameters(args: DemoArgs, results: dict[str, list[EvaluationResult]], who: str) -> str:
    from robot_stack.policies.bundle import bundle_info

    count = bundle_info(run_of(args, next(iter(results)), who) / "policy", verify=False)["parameters"]
    return f"{count:,} parameters"


def _pictures(args: DemoArgs, results: dict[str, list[EvaluationResult]]) -> None:
    """PNG pictures for documents: the success rates, and a film strip of the diffusion policy at each task."""
    from robot_stack.evaluation.figures import Rate, frame_sheet, rate_figure, save_image, save_png

    folder = args.out / "pictures"
    rates = []
    for task, of_task in results.items():
        for series, result in enumerate(of_task):
            found = result.success
            label = f"{short(task)}: {result.name}"
            rates.append(Rate(label, found.successes, found.trials, found.low, found.high, series))
    save_png(
        rate_figure(rates, title=f"Success on {args.episodes} held-out starts, 95% Wilson intervals"),
        folder / "success.png",
    )
    for task, of_task in results.items():
        diffusion = of_task[0]
        films = [e.video for e in diffusion.episodes if e.video and e.success]
        if films:
            frames = _frames(evaluation_of(args, task, diffusion.name) / films[0])
            moving = frames[: max(5, int(0.7 * len(frames)))]
            save_image(frame_sheet(moving, columns=5), folder / f"{short(task)}.jpg")


def _frames(film: Path) -> list[np.ndarray]:
    import av

    with av.open(str(film)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
