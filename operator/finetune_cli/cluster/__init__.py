"""Jobs on a cluster: a file per command, `client` and `errors` for the API server, the rest pure."""
