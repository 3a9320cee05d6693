"""The shell of the operator, on a real control plane without nodes."""
