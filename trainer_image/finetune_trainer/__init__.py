"""The trainer: launcher (one per node), prepare, ranks. Runs in pods and as local processes alike."""
