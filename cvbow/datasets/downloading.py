"""Downloading one file: from the first of its addresses that has it, resumed where it broke off, its hash checked."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvbow.datasets.catalog import RemoteFile
from cvbow.errors import DatasetError
from cvbow.files import read_text
from cvbow.progress import note, progress
from cvbow.storage import naming

#: A download that broke off is taken up this many times before the user is asked to.
ATTEMPTS = 3
#: Where neither the server nor the manifest says how large a file is, a larger one is refused.
MAX_BYTES = 10_000_000_000

_CHUNK = 1 << 20
_SECONDS = (20, 60)  # to connect; between two packets
#: A server that sends fewer bytes a second, over a minute, is given up.
SLOWEST = 1000
_MINUTE = 60.0


def download(file: RemoteFile, folder: Path, *, expected: str | None) -> Path:
    """Download a file, unless it is there already, and check its hash.

    What has arrived when a download breaks off stays in ``<name>.part``, and the next call goes on from there.

    Parameters
    ----------
    file : RemoteFile
    folder : Path
        The file becomes ``folder / file.name``, which is returned.
    expected : str or None
        ``sha256:...`` or ``md5:...`` that the file must have; None to take what comes.

    Raises
    ------
    DatasetError
        If no address has the file, or what has come has another hash: it is deleted.
    ImportError
        If pooch is not installed.
    """
    try:
        import pooch
        import requests
        import urllib3
    except ImportError as error:
        raise ImportError("fetching a data set needs the extra: pip install 'cvbow[data]'") from error

    reasons = []
    for url in file.urls:
        note(f"{file.name}: {url}")
        try:
            with _quiet_pooch():
                path = pooch.retrieve(
                    url, expected, fname=file.name, path=folder, downloader=_Resuming(file, folder, expected)
                )
        except DatasetError as error:
            reasons.append(f"{url}: {error.reason}")
        except requests.exceptions.InvalidSchema as error:
            reasons.append(f"{url}: the address, or the one that it leads to, is neither http nor https: {error}")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if not isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError)):
                raise  # the disk's trouble, not the network's
            arrived = _size(folder / f"{file.name}.part")
            kept = f"; {arrived} bytes have arrived, and the same command goes on from there" if arrived else ""
            reasons.append(f"{url}: {error}{kept}")
        except ValueError as error:  # pooch: the hash is another one
            reasons.append(f"{url}: {_hash_message(str(error), expected)}")
        else:
            return Path(path)
    raise DatasetError(file.name, "; ".join(reasons))


class _Resuming:
    """Pooch's downloader protocol, for a file that may be there in part."""

    def __init__(self, file: RemoteFile, folder: Path, expected: str | None) -> None:
        self.name = file.name
        self.n_bytes = file.n_bytes
        self.expected = expected
        self.part = folder / f"{file.name}.part"
        # What the part is a part of: its address, and the server's mark of the version.
        self.about = folder / f"{file.name}.part.json"

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download to ``output_file``."""
        import requests
        import urllib3

        for attempt in range(1, ATTEMPTS + 1):
            before = _size(self.part)
            try:
                self._go_on(url)
                break
            except (requests.RequestException, urllib3.exceptions.HTTPError):
                if attempt == ATTEMPTS or _size(self.part) <= before:
                    raise
        os.replace(self.part, output_file)
        self.about.unlink(missing_ok=True)

    def _go_on(self, url: str) -> None:
        import requests
        import urllib3

        from cvbow import __version__

        have, mark = self._state(url)
        # Not compressed on the way: the length and the hash are those of the file.
        headers = {"Accept-Encoding": "identity", "User-Agent": f"cvbow/{__version__}"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if mark:
                headers["If-Range"] = mark
        with requests.get(url, headers=headers, stream=True, timeout=_SECONDS) as answer:
            if answer.status_code == 416 and have:
                if answer.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return  # all of it is there
                self._forget()
                raise urllib3.exceptions.HTTPError("the file on the server is now shorter")
            if answer.status_code not in (200, 206):
                raise DatasetError(self.name, f"the server answered {answer.status_code} {answer.reason}")
            if answer.status_code == 206 and not re.match(rf"bytes {have}-", answer.headers.get("Content-Range", "")):
                self._forget()
                raise urllib3.exceptions.HTTPError("the server sent another part than the one asked for")
            if answer.status_code == 200:
                have = 0
                self._forget()
            self._remember(url, answer.headers)
            length = answer.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else None
            self._write(answer, have, total)
        if total is not None and _size(self.part) != total:
            raise urllib3.exceptions.HTTPError(f"the connection ended after {_size(self.part)} of {total} bytes")

    def _write(self, answer: Any, have: int, total: int | None) -> None:
        import urllib3

        limit = self.n_bytes or MAX_BYTES
        megabytes = -(-(total or 0) // 1_000_000)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(self.part, "ab" if have else "wb"))
            update = stack.enter_context(progress("MB", megabytes)) if total else lambda done: None
            if total is not None and total > limit:
                self._refuse(total, limit)
            since, then = time.monotonic(), have
            # What has arrived, and not when a whole chunk has: a few bytes at a time would never end.
            for chunk in iter(lambda: answer.raw.read1(_CHUNK, decode_content=False), b""):
                have += len(chunk)
                if have > limit:
                    self._refuse(have, limit)
                if (now := time.monotonic()) - since > _MINUTE:
                    if have - then < SLOWEST * (now - since):
                        raise urllib3.exceptions.HTTPError(f"the server sends fewer than {SLOWEST} bytes a second")
                    since, then = now, have
                with naming(self.part):
                    file.write(chunk)
                update(have // 1_000_000)

    def _refuse(self, n_bytes: int, limit: int) -> None:
        self._forget()
        raise DatasetError(self.name, f"the server sends {n_bytes} bytes or more, expected at most {limit}")

    def _state(self, url: str) -> tuple[int, str]:
        """Bytes to go on from, and the mark of the version that they are of."""
        try:
            about = json.loads(read_text(self.about))
            same, mark = about["url"] == url, str(about["mark"])
        except (OSError, ValueError, KeyError, TypeError):
            same, mark = False, ""
        # Without a mark, only a known hash could tell that two parts are of different files.
        if same and (mark or self.expected):
            return _size(self.part), mark
        self._forget()
        return 0, ""

    def _remember(self, url: str, headers: Any) -> None:
        etag = headers.get("ETag", "")
        # A weak ETag is no promise of equal bytes.
        mark = etag if etag.startswith('"') else headers.get("Last-Modified", "")
        self.about.write_text(json.dumps({"url": url, "mark": mark}), encoding="utf-8")

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _hash_message(text: str, expected: str | None) -> str:
    # Pooch tells the hash in its message alone.
    found = re.search(r"but got (\w+)", text)
    return f"what came has the hash {found[1]}, expected {expected}; it was deleted" if found else text


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Hold back pooch's own report on stderr."""
    import pooch

    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
