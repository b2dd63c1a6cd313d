"""Blind trials: one frozen plan, a sealed key, an append-only log, and what they add up to."""
