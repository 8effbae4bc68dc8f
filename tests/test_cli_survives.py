"""What happens to a command from outside: names of any bytes, full disks, closed streams, signals, killed workers."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from fresh_process import run_code
from tiny_images import write_dataset

from cvbow.augmentation import ImageAugmenter, augment_images
from cvbow.errors import ExecutorError, ImageError
from cvbow.images import list_images, read_image, try_path
from cvbow.parallel import executor, run
from cvbow.storage import replacing
from cvbow_cli.main import cli

SMALL = ["--preset", "fast", "--set", "n_words=8", "--set", "reduce=none", "--set", "step=10", "--n-jobs", "1"]
posix = pytest.mark.skipif(os.name != "posix", reason="names of bytes and signals are those of POSIX")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def started(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cvbow_cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A data set with a class that ASCII cannot spell, and a name of bytes that are no text."""
    data = write_dataset(tmp_path / "odd")
    (data / "checker").rename(data / "Käse")
    image = data / "Käse" / "00.png"
    try:
        os.rename(image, os.fsencode(data / "Käse") + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes names of UTF-8 alone")
    (data / "Käse" / "01.png").write_bytes(b"no image")
    os.rename(data / "Käse" / "01.png", os.fsencode(data / "Käse") + b"/bad\xff.png")
    return data


@posix
def test_any_name_is_printed_and_json_gives_its_bytes_back(odd: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.cvbow"
    with started("train", odd, "-o", model, *SMALL, "--json", env={**os.environ, "PYTHONIOENCODING": "ascii"}) as done:
        out, errors = done.communicate(timeout=120)
    assert done.returncode == 0, errors
    document = json.loads(out.decode("utf-8"))
    assert document["classes"] == ["Käse", "horizontal", "vertical"]
    assert os.fsencode(document["skipped"][0]["path"]).endswith(b"/bad\xff.png")
    names = b"".join(os.fsencode(path) + b"\n" for path in sorted(os.scandir(odd / "Käse"), key=lambda one: one.name))
    for options in ((), ("--json",)):
        with started(
            "predict", model, "-", *options, stdin=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"}
        ) as done:
            out, errors = done.communicate(names, timeout=120)
        assert done.returncode == 1, errors
        assert b"Traceback" not in errors
        assert b"caf" in out
    assert {os.fsencode(row["path"]) for row in json.loads(out)} == set(names.splitlines())


@posix
def test_stdin_that_is_closed_is_said_to_be(tmp_path: Path, tiny_dataset: Path) -> None:
    assert invoke("train", tiny_dataset, "-o", tmp_path / "m.cvbow", *SMALL).exit_code == 0
    command = f"{sys.executable} -m cvbow_cli predict {tmp_path / 'm.cvbow'} - <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "stdin is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught, replacing(tmp_path / "a.txt") as file:
        file.write(b"text")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_long_name_stops_no_augmentation(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    name = "ü" * 124 + ".png"
    content = cv2.imencode(".png", np.arange(400, dtype=np.uint8).reshape(20, 20))[1].tobytes()
    (tmp_path / "in" / "a" / name).write_bytes(content)
    (tmp_path / "in" / "a" / "b.png").write_bytes(content)
    done = invoke("augment", tmp_path / "in", "-o", tmp_path / "out", "-n", 2, "-q")
    assert done.exit_code == 0, done.output
    written = sorted(path.name for path in (tmp_path / "out" / "a").iterdir())
    assert len(written) == 4
    assert max(len(os.fsencode(name)) for name in written) <= 255


@pytest.mark.parametrize("error", [MemoryError(), cv2.error("(-4) insufficient memory")])
def test_an_image_that_fails_is_one_of_the_skipped(error: Exception) -> None:
    def fail() -> None:
        raise error

    assert "memory" in try_path("large.png", fail).reason
    with pytest.raises(KeyError):
        try_path("large.png", lambda: {}["a fault of the work"])


def test_one_image_without_memory_does_not_end_predict(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.cvbow"
    assert invoke("train", tiny_dataset, "-o", model, *SMALL).exit_code == 0

    def starving(source: Any, *, name: str | None = None, **options: Any) -> Any:
        if str(name).endswith("01.png"):
            raise MemoryError
        return read_image(source, name=name, **options)

    monkeypatch.setattr("cvbow.backends._image_encoder.read_image", starving)
    images = sorted((tiny_dataset / "checker").iterdir())
    done = invoke("predict", model, *images, "--json", "--n-jobs", "1")
    assert done.exit_code == 1
    rows = json.loads(done.stdout)
    assert [row.get("error") for row in rows][:3] == [None, "not enough memory for this image", None]


def test_backslashes_in_a_csv_are_named(tiny_dataset: Path, tmp_path: Path) -> None:
    assert invoke("train", tiny_dataset, "-o", tmp_path / "m.cvbow", *SMALL).exit_code == 0
    (tiny_dataset / "t.csv").write_text("path,label\nchecker\\00.png,checker\n")
    done = invoke("evaluate", tmp_path / "m.cvbow", tiny_dataset / "t.csv")
    if os.name == "posix":
        assert done.exit_code == 1
        assert "here folders are separated by /, not by a backslash" in done.stderr


def test_an_error_that_nobody_foresaw_is_one_line(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: object) -> None:
        raise cv2.error("OpenCV(5.0) :-1: error: (-215)\nmore")

    monkeypatch.setattr("cvbow_cli.features.read_image", fail)
    done = invoke("features", tiny_dataset / "x.png")
    assert done.exit_code == 1
    assert done.stderr.startswith("cvbow: error: error: OpenCV(5.0)")
    assert done.stderr.count("\n") == 1


@posix
@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "threads"), (signal.SIGTERM, "processes")])
def test_a_signal_ends_a_command_and_its_workers(tmp_path: Path, number: signal.Signals, name: str) -> None:
    folder = tmp_path / "many" / "a"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (600, 600), dtype=np.uint8)
    for index in range(60):
        cv2.imwrite(str(folder / f"{index}.png"), noise)
    quiet = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 - it may be ignored here
    command = (
        "index",
        "build",
        tmp_path / "many",
        "-o",
        tmp_path / "x.index",
        "--n-jobs",
        "2",
        "-v",
        "--executor",
        name,
    )
    with started(*command, start_new_session=True, preexec_fn=quiet) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"sample:")  # the work has begun
        time.sleep(1)
        process.send_signal(number)
        errors = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == 130, errors
    # On a busy machine joblib's tracker of files, a process of its own, may speak after the command is gone.
    said = list(itertools.takewhile(lambda line: b"resource_tracker" not in line, errors.splitlines()))
    assert said[-1].startswith(b"cvbow: interrupted; "), errors
    assert b"Traceback" not in errors
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("processes of the command live on")
    assert not (tmp_path / "x.index").exists()


def after(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a new interpreter that has run some lines before it."""
    lines = f"import atexit, os, signal, sys\nfrom cvbow_cli.__main__ import run\n{code}\nrun()"
    # Signals that are ignored here would stay so.
    command = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{lines}"
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def when_imported(module: str, code: str) -> str:
    return (
        "class Hook:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: {code}\n"
        "sys.meta_path.insert(0, Hook())"
    )


@posix
@pytest.mark.parametrize("module", ["click", "cvbow.tables", "cvbow_cli.info", "numpy", "my_parts"])
def test_a_signal_among_the_imports_is_one_line(module: str) -> None:
    more = {"CVBOW_IMPORT": module} if module == "my_parts" else {}
    done = after(when_imported(module, "os.kill(os.getpid(), signal.SIGINT)"), "info", "m.cvbow", **more)
    assert (done.returncode, done.stderr) == (130, "cvbow: interrupted; nothing was written\n")


@posix
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_at_the_end_of_the_process_shows_nothing(number: str) -> None:
    done = after(when_imported("click", f"atexit.register(lambda: os.kill(os.getpid(), signal.{number}))"), "--version")
    assert (done.returncode, done.stderr) == (130, "")
    # When Python takes down its modules the work is done, and nothing waits any more.
    late = (
        f"class Late:\n    def __del__(self, kill=os.kill, to=(os.getpid(), signal.{number})): kill(*to)\nlate = Late()"
    )
    done = after(late, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cvbow, version")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("data", "list"), ("data", "list", "--json"), ("--help",), ("info", "--help")])
def test_a_stdout_that_takes_nothing_is_one_line(arguments: tuple[str, ...]) -> None:
    # Python writes at its end what is still in the buffer of stdout, and so does this: nothing may be there.
    code = (
        "import os, sys, warnings\nfrom cvbow_cli.__main__ import run\nwarnings.resetwarnings()\n"
        "sys.stdout = open('/dev/full', 'w')\nos.dup2(sys.stdout.fileno(), 1)\n"
        "try:\n    run()\nfinally:\n    sys.stdout.flush()"
    )
    done = run_code(code, *arguments)
    assert (done.returncode, done.stderr) == (1, "cvbow: error: no space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_stdout_that_takes_nothing_is_one_line_at_the_end_of_an_interpreter() -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "cvbow_cli", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "cvbow: error: no space left on device\n")


@posix
def test_a_worker_that_is_killed_is_said_to_be() -> None:
    def kill_at_three(item: int) -> int:  # within the test: workers need not import this module
        if item == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(ExecutorError, match="a worker process was killed"), executor("processes"):
        list(run(kill_at_three, range(8), n_jobs=2))


def test_what_an_error_interrupted_ends_before_the_process(tmp_path: Path) -> None:
    """A thread that is in C++ when the interpreter ends would abort the process, or keep it for ever."""
    code = """
import pathlib, threading, time
from cvbow.parallel import run
begun = threading.Event()

def work(item):
    if item:
        begun.set()
        time.sleep(1)
        pathlib.Path(str(item)).touch()
    else:
        begun.wait(60)

for result in run(work, range(100), n_jobs=2):
    raise ValueError("whoever keeps this keeps what it interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: whoever keeps this keeps what it interrupted\n")
    assert (tmp_path / "1").exists()
    assert len(list(tmp_path.iterdir())) < 10


def test_augmentation_writes_nothing_after_its_error(tiny_dataset: Path, tmp_path: Path) -> None:
    (tiny_dataset / "checker" / "00.png").write_bytes(b"no image")
    with pytest.raises(ImageError) as kept:
        augment_images(list_images(tiny_dataset), tmp_path / "out", ImageAugmenter(), n=50, strict=True, n_jobs=2)
    written = sorted((tmp_path / "out").rglob("*.png"))
    assert len(written) < 18 * 50
    time.sleep(0.5)
    assert sorted((tmp_path / "out").rglob("*.*")) == written
    assert kept.traceback


def test_a_scheduler_that_is_not_there_is_said_to_be() -> None:
    pytest.importorskip("distributed", reason="needs the extra: pip install 'cvbow[dask]'")
    with pytest.raises(ExecutorError, match="does not answer"), executor("dask", "tcp://127.0.0.1:9", wait=1):
        pass
