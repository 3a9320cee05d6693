"""One module per worked-around bug of a library: cause, version, and a test that fails when it is fixed."""
