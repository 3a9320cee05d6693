"""The operator from its chart, on the real cluster of two nodes."""
