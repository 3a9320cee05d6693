"""From a job to the manifests of one attempt: plain dicts from small functions."""
