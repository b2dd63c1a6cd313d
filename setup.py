"""For colcon, which builds Python packages by a setup.py; everything stands in pyproject.toml."""

from setuptools import setup

setup()
