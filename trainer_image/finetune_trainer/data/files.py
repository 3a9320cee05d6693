"""Rows of data files: JSON, JSON lines, Parquet and text, read as a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from finetune_trainer.data.rows import BadRowError, Place, Row
from finetune_trainer.errors import UserError

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")
_PARQUET_BATCH = 1024


def read_rows(path: Path, file: int = 0) -> Iterator[Row]:
    """The rows of one file, by its suffix (see READERS). In a .txt file each line that is not blank is a text of its own.

    Args:
        file: index of the file within its source, for the places of the rows.

    Raises:
        UserError: BadDataRow with file and line; BadDataFile when the file as a whole cannot be read or holds no rows.
    """
    if path.suffix not in READERS:
        raise UserError("BadDataFile", f"{path}: cannot read a {path.suffix or 'file without suffix'}.", f"Use {known_suffixes()}.")
    empty = True
    try:
        if path.stat().st_size == 0:
            raise UserError("BadDataFile", f"{path}: the file has zero bytes.")
        for row in READERS[path.suffix](path, file):
            empty = False
            yield row
    except OSError as exc:
        raise UserError("BadDataFile", f"{path}: {exc.strerror or exc}.") from exc
    if empty:
        raise UserError("BadDataFile", f"{path}: the file holds no rows.")


def known_suffixes() -> str:
    """The suffixes that can be read, in words."""
    return ", ".join(READERS)


def _lines(path: Path, file: int) -> Iterator[tuple[Place, str]]:
    """Lines that are not blank, without their end."""
    offset = row = 0
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            body = raw.removeprefix(_BOM) if number == 1 else raw
            place = Place(str(path), file, row, number)
            text = _decode(body, place, offset + len(raw) - len(body))
            offset += len(raw)
            if text.strip():
                yield place, text.rstrip("\r\n")
                row += 1


def _decode(raw: bytes, place: Place, offset: int) -> str:
    """`raw`, which starts at byte `offset` of the file and at `place`, as text."""
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        line = (place.line or 1) + raw.count(b"\n", 0, exc.start)
        where = Place(place.name, place.file, place.row, line)
        bad = f"byte 0x{raw[exc.start]:02x} at offset {offset + exc.start} is not UTF-8"
        raise BadRowError(f"{bad}.", "Save the file as UTF-8.").at(where) from None


def _read_text(path: Path, file: int) -> Iterator[Row]:
    for place, text in _lines(path, file):
        yield Row(place, {"text": text})


def _read_json_lines(path: Path, file: int) -> Iterator[Row]:
    for place, text in _lines(path, file):
        try:
            value = json.loads(text)
        except json.JSONDecodeError as exc:
            raise BadRowError(f"not valid JSON: {exc.msg} (column {exc.colno}).", "Each line must be one JSON object.").at(
                place
            ) from None
        except RecursionError:
            raise BadRowError("not valid JSON: nested too deeply.").at(place) from None
        yield Row(place, value)


def _read_json(path: Path, file: int) -> Iterator[Row]:
    """An array of objects, or JSON lines under the name .json."""
    with path.open("rb") as stream:
        head = stream.read(4096).removeprefix(_BOM).lstrip()
    return _read_json_array(path, file) if head.startswith(b"[") else _read_json_lines(path, file)


def _read_json_array(path: Path, file: int) -> Iterator[Row]:
    """Element by element: the text of the file is in memory, but only one element as Python objects."""
    raw = path.read_bytes()
    body = raw.removeprefix(_BOM)
    text = _decode(body, Place(str(path), file, 0, 1), len(raw) - len(body))
    del raw, body
    decoder = json.JSONDecoder()
    at = _skip_space(text, text.index("[") + 1)
    line = 1 + text.count("\n", 0, at)
    row, closed = 0, text.startswith("]", at)
    if closed:
        at = _skip_space(text, at + 1)
    while not closed:
        place = Place(str(path), file, row, line)
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as exc:
            where = Place(str(path), file, row, exc.lineno)
            raise BadRowError(f"not valid JSON: {exc.msg} (column {exc.colno}).").at(where) from None
        except RecursionError:
            raise BadRowError("not valid JSON: nested too deeply.").at(place) from None
        yield Row(place, value)
        after = _skip_space(text, end)
        closed = text.startswith("]", after)
        if not closed and not text.startswith(",", after):
            where = Place(str(path), file, row, line + text.count("\n", at, end))
            raise BadRowError("not valid JSON: expected ',' or ']' after this element.").at(where)
        following = _skip_space(text, after + 1)
        line, at, row = line + text.count("\n", at, following), following, row + 1
    if at != len(text):
        raise BadRowError("not valid JSON: text after the end of the array.").at(Place(str(path), file, row, line))


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _read_parquet(path: Path, file: int) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=_PARQUET_BATCH):
                for value in batch.to_pylist():
                    yield Row(Place(str(path), file, row), value)
                    row += 1
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as exc:
        raise UserError("BadDataFile", f"{path}: not a readable Parquet file: {exc}") from exc


#: Suffix -> reader.
READERS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
    ".txt": _read_text,
}


def count_rows(path: Path, lines: int) -> int | None:
    """How many rows a file has, without reading it again; None where that is not known.

    Args:
        lines: number of lines of the file.
    """
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows: Any = pq.read_metadata(path).num_rows
        return int(rows)
    return lines if path.suffix in {".jsonl", ".txt"} else None
