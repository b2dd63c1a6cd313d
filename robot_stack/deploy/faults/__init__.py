"""Fault injection: what may go wrong between a policy and motors, and what reaches the motors then."""
