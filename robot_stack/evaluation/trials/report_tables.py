"""The tables and lists of a trial report, as HTML."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence

from robot_stack.evaluation.trials.analysis import TrialAnalysis
from robot_stack.evaluation.trials.report_figures import color_of

_WORDS = {
    "first_better": "{first} is better",
    "second_better": "{second} is better",
    "undecided": "not told apart",
    "continue": "not told apart",
}


def result_table(found: TrialAnalysis) -> str:
    """Every policy with its success rate and completion."""
    rows = []
    for row, arm in enumerate(found.arms):
        mark = f'<span class="mark" style="background:{color_of(row)}"></span>{html.escape(arm.name)}'
        low, high = arm.credible
        duration = "–" if arm.duration_s is None else f"{arm.duration_s:.1f} s"
        tags = ", ".join(f"{tag} {count}" for tag, count in arm.failure_tags.items()) or "–"
        rows.append(
            (
                mark,
                f"<b>{arm.letters}</b>",
                f"{arm.success.successes}/{arm.success.trials} = {arm.success.rate:.1%}",
                f"{arm.success.low:.1%} … {arm.success.high:.1%}",
                f"{low:.1%} … {high:.1%}",
                f"{arm.anytime.low:.1%} … {arm.anytime.high:.1%}",
                f"{arm.completion.mean:.3f}",
                duration,
                html.escape(tags),
            )
        )
    headings = [
        "policy",
        "letters",
        "success",
        "Wilson 95%",
        "credible 95%",
        "anytime 95%",
        "completion",
        "median time",
    ]
    if any(arm.failure_tags for arm in found.arms):
        headings.append("failures")
    return _table(headings, [row[: len(headings)] for row in rows])


def comparison_table(found: TrialAnalysis) -> str:
    """Every pair with its decision."""
    rows, evidence = [], []
    for c in found.comparisons:
        verdict = _WORDS[c.decision].format(first=c.first, second=c.second)
        when = "–" if c.decided_at is None or not c.decision.endswith("better") else f"block {c.decided_at}"
        rows.append(
            (
                html.escape(f"{c.first} – {c.second}"),
                f"<b>{html.escape(verdict)}</b>",
                when,
                f"{c.level:.4g}",
                f"{c.difference:+.1%} [{c.interval[0]:+.1%}, {c.interval[1]:+.1%}]",
                _probability(c.probability_second_better),
            )
        )
        evidence.append(html.escape(c.evidence))
    headings = ("pair", "decision", "when", "level", "second minus first, 95%", "P(second better)")
    return _table(headings, rows, evidence)


def _probability(value: float) -> str:
    if min(value, 1 - value) < 0.0001:
        return "&lt; 0.0001" if value < 0.5 else "&gt; 0.9999"
    return f"{value:.4f}"


def flow_table(found: TrialAnalysis) -> str:
    """What became of every trial, by policy."""
    reasons = sorted({reason for arm in found.arms for reason in arm.flow.excluded})
    rows = [
        (
            html.escape(arm.name),
            str(arm.flow.assigned),
            *(str(arm.flow.excluded.get(reason, 0)) for reason in reasons),
            str(arm.flow.expired),
            str(arm.flow.labelled),
            str(arm.flow.analysed),
            str(arm.flow.emergency_stops),
        )
        for arm in found.arms
    ]
    headings = (
        "policy",
        "begun",
        *(html.escape(f"excluded: {reason}") for reason in reasons),
        "station lost",
        "judged",
        "analysed",
        "emergency stops",
    )
    note = ""
    if found.exclusions_p is not None:
        note = f"<p>Trials lost, compared between policies: p = {found.exclusions_p:.3f}. Each was run again.</p>"
    return _table(headings, rows) + note


def effects_table(found: TrialAnalysis) -> str:
    """What should not matter."""
    rows = []
    for effect in found.effects:
        shown = [f"{html.escape(level)}: {rate}" for level, rate in zip(effect.levels, effect.rates, strict=True)]
        p_value = "one level only" if effect.p_value is None else f"{effect.p_value:.3f}"
        rows.append((html.escape(effect.name), p_value, "<br>".join(shown[:12]) + ("<br>…" if len(shown) > 12 else "")))
    return _table(("by", "p", "success over all policies"), rows)


def deviations_list(found: TrialAnalysis) -> str:
    """Deviations from the plan."""
    undone = f"{found.undone} label(s) were taken back before they were locked." if found.undone else ""
    items = [*found.deviations, *([undone] if undone else [])]
    if not items:
        return "<p>None.</p>"
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def checks_list(found: TrialAnalysis) -> str:
    """The audit."""
    items = [
        f'<li class="{"ok" if check.ok else "bad"}"><b>{html.escape(check.name)}</b>: {html.escape(check.detail)}</li>'
        for check in found.checks
    ]
    return '<ul class="checks">' + "".join(items) + "</ul>"


def plan_facts(found: TrialAnalysis) -> str:
    """The plan and where the report came from."""
    plan, code = found.plan, found.provenance.get("code", {})
    moment = "%Y-%m-%d %H:%M UTC"
    facts = {
        "task": plan.task,
        "success": plan.rubric.success or "as the task defines it",
        "policies": ", ".join(f"{arm.name} ({arm.sha256[:12]}…)" for arm in found.arms),
        "rule": f"{plan.stopping.rule}, alpha {plan.stopping.alpha:g}, n_max {plan.blocks}, Holm over all pairs",
        "initial conditions": str(len(plan.conditions)),
        "reasons for exclusion": ", ".join(plan.exclusion_reasons),
        "trials": f"{time.strftime(moment, time.gmtime(found.started_s))} to "
        f"{time.strftime(moment, time.gmtime(found.ended_s))}",
        "opened by": found.unblinded_by,
        "plan, SHA-256": found.plan_sha256,
        "commitment": found.commitment,
        "nonce": found.nonce,
        "code": f"robot_stack {found.provenance.get('robot_stack', '')} {code.get('commit', '')[:12]}",
    }
    return "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items())


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str] = ()) -> str:
    """A table; ``below`` has a line of text under each row."""
    head = "".join(f"<th>{h}</th>" for h in headings)
    body = ""
    for number, row in enumerate(rows):
        kind = ' class="above"' if below else ""
        body += f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
        if below:
            body += f'<tr class="below"><td colspan="{len(headings)}">{below[number]}</td></tr>'
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
