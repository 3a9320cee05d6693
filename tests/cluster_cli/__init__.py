"""The commands that talk to a cluster, against a real API server without nodes."""
