"""What the operator decides, as pure functions: observe -> policies -> plan -> render. No clock, network or environment."""
