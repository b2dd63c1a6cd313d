"""A robot learning stack: demonstrations, datasets, policies, evaluation and deployment."""

__version__ = "0.1.0"
