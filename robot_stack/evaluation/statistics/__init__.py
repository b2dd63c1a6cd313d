"""Statistics for comparing policies: intervals, tests with a fixed number of trials, tests that may stop early.

Everything is NumPy and SciPy. Which one to use when, and what each guarantees: docs/evaluation.md.
"""
