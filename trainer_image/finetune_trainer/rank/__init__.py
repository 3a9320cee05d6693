"""One training process: build, train, save, always close."""
