"""Torch networks, noise processes and samplers."""
