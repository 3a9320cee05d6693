"""Atomic, verified checkpoints; resume takes the newest complete one."""
