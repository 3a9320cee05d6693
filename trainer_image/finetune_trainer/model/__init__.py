"""Where a model comes from, how it and its tokenizer are loaded, adapters."""
