"""Whole-body control of floating-base robots: dynamics, tasks, strict priorities, contact forces by a QP."""
