"""Unitree Go1 at its low level: UDP packets, a link to the legs by them or by Unitree's own library, an emulator."""
