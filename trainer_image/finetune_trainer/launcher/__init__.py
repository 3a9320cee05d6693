"""One per node, PID 1 of the pod: fence, prepare, rendezvous, ranks, signals, heartbeat, progress, verdict."""
