"""The report of an unblinded study: one HTML file that fetches nothing, and the same as JSON."""

from __future__ import annotations

import html
import time
from importlib import resources
from pathlib import Path
from string import Template

from robot_stack.core.atomic import write_json, write_text
from robot_stack.core.config_json import to_plain
from robot_stack.evaluation.figures import to_svg
from robot_stack.evaluation.trials import report_figures as figures
from robot_stack.evaluation.trials.analysis import Comparison, TrialAnalysis
from robot_stack.evaluation.trials.report_tables import (
    checks_list,
    comparison_table,
    deviations_list,
    effects_table,
    flow_table,
    plan_facts,
    result_table,
)

RULES = {
    "barnard": "the exact sequential Barnard test",
    "pairs": "the exact sequential test of discordant pairs",
    "e-process": "the anytime-valid e-process",
    "fixed": "one exact test (Boschloo) when all trials were done",
}
"""What a plan's rule is called in the report."""


def write_trial_report(found: TrialAnalysis, folder: str | Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.json`` into a folder, atomically.

    Args:
        found: what the study found.
        folder: made if it is not there.

    Returns:
        Both paths.
    """
    page, data = Path(folder) / "report.html", Path(folder) / "report.json"
    write_json(data, to_plain(found))
    write_text(page, report_page(found))
    return page, data


def report_page(found: TrialAnalysis) -> str:
    """The report as HTML."""
    template = Template((resources.files("robot_stack.evaluation.trials") / "assets" / "trial_report.html").read_text())
    return template.substitute(
        title=html.escape(found.study),
        instruction=html.escape(found.plan.instruction or found.plan.task),
        headline=html.escape(headline(found)),
        summary=html.escape(summary(found)),
        warnings="".join(f'<p class="warn">{html.escape(text)}</p>' for text in warnings(found)),
        results=result_table(found),
        figures=_figures(found),
        comparisons=comparison_table(found),
        detectable=html.escape(detectable_sentence(found)),
        flow=flow_table(found),
        effects=effects_table(found),
        judges=html.escape(judges_sentence(found)),
        deviations=deviations_list(found),
        checks=checks_list(found),
        facts=plan_facts(found),
    )


def headline(found: TrialAnalysis) -> str:
    """What was found, in a sentence."""
    told = [c for c in found.comparisons if c.decision.endswith("better")]
    if not found.blocks:
        return "No block was completed: nothing can be said."
    if not told:
        return "No difference between the policies was shown."
    if len(found.arms) == 2:
        return f"{_better(told[0])[0]} is better than {_better(told[0])[1]}."
    if len(told) == len(found.comparisons):
        return "All policies differ: " + " > ".join(arm.name for arm in found.arms) + "."
    sentences = [f"{better} is better than {worse}" for better, worse in map(_better, told)]
    return "; ".join(sentences) + "; no other difference was shown."


def summary(found: TrialAnalysis) -> str:
    """How it was found out."""
    plan = found.plan
    trials = found.blocks * len(found.arms)
    ended = (
        f"The study was over after {found.decided_at} blocks of at most {plan.blocks}."
        if found.decided_at is not None
        else f"It was opened after {found.blocks} of at most {plan.blocks} blocks, before its rule said stop."
    )
    return (
        f"{len(found.arms)} policies, {trials} blind trials in {found.blocks} blocks; in each block every policy met "
        f"the same initial condition, in random order. Decided by {RULES[plan.stopping.rule]}; the chance of any false "
        f"difference is at most {plan.stopping.alpha:g} over all {len(found.comparisons)} comparison(s). {ended}"
    )


def warnings(found: TrialAnalysis) -> list[str]:
    """What the reader must know before anything else."""
    out = []
    if found.unblinded_early:
        out.append("The key was opened before the stopping rule said stop; the reason is among the deviations.")
    if any(not check.ok for check in found.checks):
        wrong = ", ".join(check.name for check in found.checks if not check.ok)
        out.append(f"The audit found something wrong: {wrong}. These results are not to be trusted.")
    if found.exclusions_p is not None and found.exclusions_p < 0.05:
        out.append(f"Exclusions are unevenly spread over the policies (p = {found.exclusions_p:.3f}).")
    for effect in found.effects:
        if effect.p_value is not None and effect.p_value < 0.01:
            out.append(f"Success changed with {effect.name} (p = {effect.p_value:.3g}).")
    return out


def detectable_sentence(found: TrialAnalysis) -> str:
    """What this study could have found."""
    if found.detectable is None:
        return "With so few trials, not even success always would have been told from the worst policy's rate."
    low, high = found.detectable
    return (
        f"With up to {found.plan.blocks} trials of each policy, a success rate of {high:.0%} would have been told from "
        f"{low:.0%} four times out of five. A smaller difference than that may exist and not be seen here."
    )


def judges_sentence(found: TrialAnalysis) -> str:
    """Whether a second judge saw the same."""
    if found.second_judge is None:
        return "Nobody judged a trial a second time."
    judge = found.second_judge
    kappa = "not defined" if judge.kappa is None else f"{judge.kappa:.2f}"
    return f"A second person judged {judge.trials} trials on film: {judge.agreed} agreed on success, Cohen's κ {kappa}."


def day(time_s: float) -> str:
    """A moment as date and time, UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time_s))


def _better(comparison: Comparison) -> tuple[str, str]:
    first, second = comparison.first, comparison.second
    return (first, second) if comparison.decision == "first_better" else (second, first)


def _figures(found: TrialAnalysis) -> str:
    if not found.blocks:
        return ""
    arms = found.arms
    drawn = [
        (
            figures.violin_figure(arms),
            "Success rate: posterior under a uniform prior, observed rate, 95% credible interval. "
            "Policies that share a letter were not told apart.",
        ),
        (
            figures.curve_figure(arms, found.decided_at),
            "Success rate along the trials; bands are 95% confidence sequences, which hold whenever one looks.",
        ),
    ]
    if len(arms[0].milestones) > 1:
        drawn += [
            (figures.funnel_figure(arms), "Milestones reached, with 95% Wilson intervals."),
            (
                figures.completion_figure(arms),
                "Mean task completion (share of milestones, success among them): line, 95% interval of the Dirichlet "
                "posterior; wide band, 95% betting interval, which holds whenever one looks.",
            ),
        ]
    drawn.append((figures.condition_figure(arms), "Red: never succeeded. Green: always."))
    return "".join(
        f"<figure>{to_svg(figure)}<figcaption>{html.escape(caption)}</figcaption></figure>" for figure, caption in drawn
    )
