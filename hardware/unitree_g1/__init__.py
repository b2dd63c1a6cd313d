"""Unitree's G1: its messages byte for byte, its joint bus, and an emulator that speaks as it does."""
