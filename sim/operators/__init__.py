"""Scripted operators: drivers that do the robots' tasks, for demonstrations.

One file a task, ``<robot>_<task>.py``, with a driver class and a function
``make(world: World, noise_std: float = 0.0) -> Driver`` that :mod:`robot_stack.sim.robot_catalog` names. An operator
decides from the observation's state fields only (``world.robot.embodiment.state_slices`` says where they lie), draws
its own choices and noise from ``generator(seed, ...)`` given to ``reset``, and answers in the action fields of the
task's usual controller.
"""
