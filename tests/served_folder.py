"""A folder as any static server serves it, from 127.0.0.1, and files that are dropped on one of its pages."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from headless_browser import Browser

#: No name leads anywhere but to this machine.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"

_DROP = """
const transfer = new DataTransfer();
for (const [name, content] of arguments[0]) {
  transfer.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name));
}
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
"""


@contextlib.contextmanager
def served(folder: Path, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve a folder, with headers beside the usual ones; the context is its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def drop(browser: Browser, files: Mapping[str, bytes]) -> None:
    """Drop files on the page that is open, all at once."""
    browser.run(_DROP, [(name, base64.b64encode(content).decode()) for name, content in files.items()])


def answers(browser: Browser) -> dict[str, list[tuple[str, float]]]:
    """Return what the page found in each image: classes and probabilities, the best first."""
    cards = browser.run(
        "return [...document.querySelectorAll('#results .card')].map((card) => [card.querySelector('h2').textContent,"
        " [...card.querySelectorAll('.bars li')].map((line) => [line.querySelector('.name').textContent,"
        " parseFloat(line.querySelector('.value').textContent)])])"
    )
    return {name: [(label, share / 100) for label, share in bars] for name, bars in cards}
