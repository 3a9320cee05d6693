"""One decision a file."""
