"""What the operator, the command line and the trainer agree on. Imports pydantic and pyyaml only."""
