"""Keeps the launcher's side of the contract without training: what each node of each attempt does is written in a file.

Usage: stand_in_launcher.py SCRIPT.json, where SCRIPT is {"ATTEMPT" or "*": {"NODE" or "*": step}} and a step is
    exit: exit code; seconds: how long it works first; reason, message: the termination message;
    progress: a document for /progress; checkpoint: step to save when asked to stop; deaf: ignore SIGTERM;
    orphan: leave a process behind; lingers: seconds it stays after its parent has died.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

env = os.environ
attempt, node = env["FINETUNE_ATTEMPT"], env["NODE_RANK"]
output = Path(env["FINETUNE_OUTPUT_DIR"])
script = json.loads(Path(sys.argv[1]).read_text())
nodes = script.get(attempt) or script["*"]
step = nodes.get(node) or nodes["*"]
parent = int(env["FINETUNE_PARENT_PID"])
asked = threading.Event()


def serve() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(step["progress"]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Path(env["FINETUNE_HTTP_PORT_FILE"]).write_text(str(server.server_port))


def record(**fields: object) -> None:
    with (output / "seen.jsonl").open("a") as file:
        file.write(json.dumps({"attempt": int(attempt), "node": int(node), "pid": os.getpid(), **fields}) + "\n")


def leave(code: int) -> None:
    record(left=time.monotonic())
    if "reason" in step:
        message = {"exitCode": code, "reason": step["reason"], "message": step["message"], "nodeRank": int(node)}
        Path(env["FINETUNE_TERMINATION_LOG"]).write_text(json.dumps(message))
    sys.exit(code)


signal.signal(signal.SIGTERM, signal.SIG_IGN if step.get("deaf") else lambda *_: asked.set())
print(f"node {node} of attempt {attempt} works", flush=True)
contract = {
    name: value
    for name, value in env.items()
    if name.startswith(("FINETUNE_", "PET_")) or name in ("RANK", "NNODES", "MARK", "PATH")
}
record(started=time.monotonic(), env=contract)
if "progress" in step:
    serve()
if step.get("orphan"):
    record(orphan=subprocess.Popen(["sleep", "600"]).pid)
until = time.monotonic() + step.get("seconds", 0)
while time.monotonic() < until:
    if os.getppid() != parent:
        time.sleep(step.get("lingers", 0))
        record(orphaned=time.monotonic())
        sys.exit(75)
    if asked.is_set():
        if "checkpoint" in step:
            (output / "checkpoints" / f"step-{step['checkpoint']:08d}").mkdir(parents=True, exist_ok=True)
        leave(77)
    time.sleep(0.02)
code = step.get("exit", 0)
if code == 0 and node == "0":
    (output / ".finetune").mkdir(exist_ok=True)
    (output / ".finetune" / "done.json").write_text("{}")
leave(code)
