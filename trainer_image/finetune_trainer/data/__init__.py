"""From sources to tokens: sources, formats, template, pack, cache; and the memory-mapped reader that the ranks use."""
