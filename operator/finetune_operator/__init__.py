"""The operator: makes FineTuneJobs happen on a Kubernetes cluster."""
