"""What takes the place of a Docker engine and a registry on a Debian machine that has neither."""
