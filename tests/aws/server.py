"""Serves the emulator on a port of loopback that the system picks, prints the
port, and ends with its standard input."""

import asyncio
import logging
import os
import socket
import sys
import threading

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(128)
port = listener.getsockname()[1]
# What it calls itself in URLs, and no listener but this one.
os.environ.update(MINISTACK_HOST="127.0.0.1", GATEWAY_PORT=str(port), IOT_MTLS_ENABLED="0")
logging.disable(logging.ERROR)

from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402
from ministack.app import app  # noqa: E402


async def main():
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch():
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, daemon=True).start()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.errorlog = None
    print(port, flush=True)
    await serve(app, config, shutdown_trigger=stop.wait)


asyncio.run(main())
