"""Runs in a pod, as the source of `python3 -c`: tells which files a folder has, and sends them from where the reader left off.

Any Python 3 with its standard library will do. `list ROOT` writes a JSON object a line, `send ROOT OFFSETS` for each path of
a JSON object {path: offset} a line with its size, the bytes from the offset on, and a line with the SHA-256 of the whole file.
"""

import hashlib
import json
import os
import stat
import sys

_CHUNK = 1 << 20
_SIGN_OF_LIFE = 64 * _CHUNK


def list_files(root: str) -> None:
    """Regular files below `root`. Links are left out: they may lead out of the folder."""
    if not os.path.isdir(root):  # noqa: PTH112
        sys.exit("the output folder is not on the volume")
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118
            try:
                found = os.lstat(path)
            except FileNotFoundError:  # A run that goes on deletes old checkpoints.
                continue
            if stat.S_ISREG(found.st_mode):
                entry = {"path": os.path.relpath(path, root), "size": found.st_size, "mtime": found.st_mtime_ns}
                print(json.dumps(entry))


def send(root: str, offsets: "dict[str, int]") -> None:
    """The files, one after the other."""
    out = sys.stdout.buffer
    for path, offset in offsets.items():
        with open(os.path.join(root, path), "rb") as file:  # noqa: PTH118, PTH123
            left, digest = os.fstat(file.fileno()).st_size, hashlib.sha256()
            out.write(json.dumps({"path": path, "size": left}).encode() + b"\n")
            while left:
                here = file.tell()
                before = here < offset
                if before and here % _SIGN_OF_LIFE == 0:  # A connection on which nothing comes for long is taken for broken.
                    print("checking what was sent before", file=sys.stderr, flush=True)
                chunk = file.read(min(_CHUNK, left, offset - here if before else left))
                if not chunk:
                    sys.exit(f"{path} became shorter while it was read")
                digest.update(chunk)
                left -= len(chunk)
                if not before:
                    out.write(chunk)
            out.write(json.dumps({"sha256": digest.hexdigest()}).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    if sys.argv[1] == "list":
        list_files(sys.argv[2])
    else:
        send(sys.argv[2], json.loads(sys.argv[3]))
