"""Everything that touches the cluster, the clock or the network: it feeds the core and carries out what it decides."""
