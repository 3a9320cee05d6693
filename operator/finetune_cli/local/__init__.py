"""A job as local processes: the environment of a node, the attempts, what is shown meanwhile, and whose folder the output is."""
