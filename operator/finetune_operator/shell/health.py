"""One HTTP server: /healthz (is it alive?), /readyz (has it begun?), /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from finetune_operator.shell.metrics import Metrics


class HealthServer:
    """Serves from `start` to `stop`.

    Args:
        ailing: why the operator should be started again; empty: it is well.
        ready: whether it does its work.
    """

    def __init__(self, port: int, ailing: Callable[[], str], ready: Callable[[], bool], metrics: Metrics) -> None:
        self._port, self._ailing, self._ready = port, ailing, ready
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", make_aiohttp_handler(metrics.registry))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        """Raises OSError if the port cannot be had."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port, reuse_address=True).start()

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        reason = self._ailing()
        return web.Response(text=reason or "ok", status=503 if reason else 200)

    async def _readyz(self, _request: web.Request) -> web.Response:
        ready = self._ready()
        return web.Response(text="ok" if ready else "has not read the jobs yet", status=200 if ready else 503)
