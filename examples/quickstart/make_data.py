"""Make chat samples from the docstrings of Python's standard library: python make_data.py FOLDER.

Writes FOLDER/stdlib.jsonl, a sample a line in the `openai` format: "What does os.path.join do?" and the first paragraph of its
docstring. The same Python gives the same file.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

#: Modules that every Python programmer meets; importing them has no side effect.
MODULES = """
    bisect collections contextlib copy csv functools glob heapq itertools json math os os.path pathlib pprint random re shutil
    statistics string subprocess tempfile textwrap time zipfile
""".split()
SHORTEST, LONGEST = 30, 480  # Characters of an answer.
MOST_PER_MODULE = 40


def first_paragraph(docstring: str) -> str:
    """The first paragraph that is a sentence, on one line; empty if there is none."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        text = " ".join(paragraph.split())
        if text[:1].isupper() and text.endswith((".", "!")) and "->" not in text:
            return text
    return ""


def documented(module_name: str) -> Iterator[tuple[str, str]]:
    """(name, docstring) of each public function and class of a module, and of the public methods of its classes."""
    module = importlib.import_module(module_name)
    for name, thing in sorted(vars(module).items()):
        if name.startswith("_") or not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        if isinstance(thing.__doc__, str):
            yield f"{module_name}.{name}", thing.__doc__
        if inspect.isclass(thing) and thing.__module__.split(".")[0].strip("_") == module_name.split(".")[0]:
            for method_name, method in sorted(vars(thing).items()):
                if not method_name.startswith("_") and inspect.isroutine(method) and isinstance(method.__doc__, str):
                    yield f"{module_name}.{name}.{method_name}", method.__doc__


def pairs() -> Iterator[tuple[str, str]]:
    """(question, answer) for each documented name; an answer that was given before is left out."""
    seen: set[str] = set()
    for module_name in MODULES:
        taken = 0
        for name, docstring in documented(module_name):
            answer = first_paragraph(docstring)
            if SHORTEST <= len(answer) <= LONGEST and answer not in seen and taken < MOST_PER_MODULE:
                seen.add(answer)
                taken += 1
                yield f"What does {name} do?", answer


def main(folder: Path) -> None:
    """Write the file and say how many samples it has."""
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    samples = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in pairs()
    ]
    path = folder / "stdlib.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    print(f"{path}: {len(samples)} samples")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(textwrap.dedent(__doc__ or ""))
    main(Path(sys.argv[1]))
