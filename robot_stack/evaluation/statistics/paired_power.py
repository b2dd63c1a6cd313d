"""How many initial conditions, each met by both policies, show which difference: exact power of McNemar's test.

What counts are the discordant pairs. With the same success rates, the more alike the outcomes of a pair, the fewer
pairs are discordant and the fewer initial conditions are needed. The power of the sequential test of pairs depends on
the order of the discordances and is simulated: :func:`.simulate.simulate_pairs`.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from robot_stack.core.errors import ConfigError
from robot_stack.evaluation.statistics.nuisance import Array, binomial_rows, maximum
from robot_stack.evaluation.statistics.operating import PairLaw
from robot_stack.evaluation.statistics.power import FIXED_MOST, TrialsNeeded
from robot_stack.evaluation.statistics.sequential import Alternative, check_alpha


def mcnemar_power(law: PairLaw, pairs: int, alpha: float = 0.05, alternative: Alternative = "two_sided") -> float:
    """Probability that McNemar's exact test calls the second policy better.

    Args:
        law: probabilities of the outcomes of a pair, from :func:`.operating.pair_law`.
        pairs: initial conditions.
        alpha: error rate.
        alternative: two-sided means alpha / 2 for each direction.
    """
    discordant = law.first_only + law.second_only
    if discordant == 0:
        return 0.0
    wins = law.second_only / discordant
    chance = binomial_rows(pairs, np.array([min(1.0, discordant)]))[0]
    return float(chance @ _upper_tails(pairs, alpha, alternative, wins))


def mcnemar_size(pairs: int, alpha: float = 0.05, alternative: Alternative = "second_better") -> float:
    """The largest probability of calling the second of two equal policies better, over the rate of discordant pairs."""
    return maximum(_upper_tails(pairs, alpha, alternative, 0.5))


def mcnemar_trials(
    law: PairLaw, *, power: float = 0.8, alpha: float = 0.05, alternative: Alternative = "two_sided"
) -> TrialsNeeded:
    """The number of initial conditions from which on McNemar's exact test has this power.

    Power is not monotone in the number; for ten numbers from this one on it is at least what was asked for.

    Raises:
        ConfigError: if the second policy is not the better one, or more than 1,500 are needed.
    """
    if not 0 < power < 1:
        raise ConfigError("the power is out of range", got=power, expected="between 0 and 1, e.g. 0.8")
    if law.second_only <= law.first_only:
        raise ConfigError("the second policy is not the better one", got=law, remedy="exchange the policies")
    reached = 0
    for n in range(1, FIXED_MOST + 10):
        reached = reached + 1 if mcnemar_power(law, n, alpha, alternative) >= power else 0
        if reached == 10:
            first = n - 9
            return TrialsNeeded(first, mcnemar_power(law, first, alpha, alternative), float(first), "McNemar")
    raise ConfigError(f"more than {FIXED_MOST} initial conditions are needed", got=law)


def _upper_tails(pairs: int, alpha: float, alternative: Alternative, wins: float) -> Array:
    """Probability of rejection for 0 to ``pairs`` discordant pairs, each won by the second with this probability."""
    check_alpha(alpha)
    if alternative == "first_better":
        return np.zeros(pairs + 1)
    d = np.arange(pairs + 1.0)
    level = alpha / 2 if alternative == "two_sided" else alpha
    critical = np.ceil(d / 2)
    while (short := (special.bdtrc(critical - 1, d.astype(int), 0.5) > level) & (critical <= d)).any():
        critical[short] += 1
    tails = special.bdtrc(critical - 1, d.astype(int), wins)
    return np.where((critical <= d) & (d > 0), np.nan_to_num(tails), 0.0)
