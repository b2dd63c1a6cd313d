"""How well a policy does: held-out episodes, intervals, comparisons, reports."""
