"""For colcon, which builds Python packages by a setup.py; all but the licence stands in pyproject.toml."""

from setuptools import setup

# The licence stands here because its form in pyproject.toml changed with setuptools 77: a distribution's ROS 2 has 68,
# which refuses the new form, and newer ones will refuse the old.
made = setup(license="Apache-2.0")

# colcon reads what stands in this object as Python's own values, and a set of versions is none of them.
for described in (made, made.metadata):
    described.python_requires = str(described.python_requires)  # pyright: ignore
