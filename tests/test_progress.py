"""One share of the whole that is done, whatever the stages; who is told of it, and how it is drawn."""

from __future__ import annotations

import io
import sys
import threading

import numpy as np
import pytest
from notes import Notes

from cvbow import ImageClassifier, make_model
from cvbow import progress as progress_module
from cvbow.backends import ColorHistogram
from cvbow.parallel import run
from cvbow.progress import TerminalReporter, detail, note, progress, reporting, stages, tracked


def fail(item: int) -> int:
    raise KeyError(item)


def test_progress_and_notes_go_to_the_reporter() -> None:
    told = Notes()
    with reporting(told):
        note("first")
        detail("how much")
        assert list(run(abs, range(3), n_jobs=2, task="sizes", total=3)) == [0, 1, 2]
        list(run(abs, range(3), n_jobs=2))
    note("nobody hears this")
    assert told.lines == ["first"]
    assert told.shown == [(pytest.approx(done / 3), f"sizes {done}/3") for done in range(4)]
    assert told.n_finished == 1
    with reporting(told, details=True):
        detail("how much")
    assert told.lines == ["first", "how much"]


def test_reporters_nest_and_are_restored_after_an_error() -> None:
    outer, inner = Notes(), Notes()
    with reporting(outer):
        with pytest.raises(ZeroDivisionError), reporting(inner):  # noqa: PT012
            note("in")
            raise ZeroDivisionError
        note("out")
        with reporting(None):
            note("to nobody")
    assert (inner.lines, outer.lines) == (["in"], ["out"])


def test_work_is_finished_even_when_it_fails() -> None:
    told = Notes()
    with reporting(told):
        with pytest.raises(ZeroDivisionError), progress("dividing", 2) as done:  # noqa: PT012
            done(1)
            raise ZeroDivisionError
        with pytest.raises(KeyError):
            list(run(fail, range(10), n_jobs=2, task="failing", total=10))
    assert told.shown == [(0, "dividing 0/2"), (0.5, "dividing 1/2"), (0, "failing 0/10")]
    assert told.n_finished == 2


def test_work_inside_of_work_fills_its_part() -> None:
    told = Notes()
    with reporting(told), stages({"learn": 3, "judge": 1}) as begin:
        begin("learn")
        for _ in tracked("channels", ["local", "colour"]):
            with progress("encode", 3) as done:
                done(3)
        begin("judge")
    assert told.shown == [
        *((0, stage) for stage in ("learn", "learn", "channels 0/2", "encode 0/3")),
        (pytest.approx(0.375), "encode 3/3"),
        *((pytest.approx(0.375), stage) for stage in ("channels 1/2", "encode 0/3")),
        *((pytest.approx(0.75), stage) for stage in ("encode 3/3", "channels 2/2", "judge")),
        (1, "judge"),
    ]
    assert told.n_finished == 1


def test_a_generator_that_is_dropped_and_threads_do_no_harm() -> None:
    told = Notes()
    with reporting(told), progress("whole", 2) as done:
        dropped = tracked("dropped", [1, 2])
        assert next(dropped) == 1
        with progress("later", 2) as later:
            dropped.close()
            later(1)
        worker = threading.Thread(target=lambda: list(tracked("of a worker", [1, 2])))
        worker.start()
        worker.join()
        done(2)
    assert [share for share, _ in told.shown] == sorted(share for share, _ in told.shown)
    assert "of a worker" not in told.stages
    assert told.shown[-1] == (1, "whole 2/2")


@pytest.mark.parametrize("weights", [{"a": 0.0}, {"a": 0.0, "b": 1.0, "c": 0.0}])
def test_stages_that_take_no_time(weights: dict[str, float]) -> None:
    told = Notes()
    with reporting(told), stages(weights) as begin:
        for name in list(weights)[1:]:
            begin(name)
            with progress("nothing", 0):
                pass
    assert told.shown[-1][0] == 1
    assert told.stages[0] == ("b" if "b" in weights else "a")
    assert all(0 <= share <= 1 for share, _ in told.shown)


@pytest.mark.parametrize("preset", ["auto", "bow", "vlad"])
def test_training_and_judging_is_one_bar_each(preset: str) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(6)]
    labels = ["a", "b"] * 3
    told = Notes()
    with reporting(told):
        model = make_model(preset, n_jobs=1)
        if preset != "auto":
            model.set_params(backend__sample=3000)
        model.fit(images, labels)
        model.evaluate(images, labels)
    assert told.n_finished == 2
    shares = [share for share, _ in told.shown]
    assert shares.count(1.0) >= 2
    first = shares[: len(shares) - shares[::-1].index(0.0)]
    fitted = first[: len(first) - next(n for n, share in enumerate(reversed(first)) if share == 1.0)]
    assert fitted == sorted(fitted)
    assert len(set(fitted)) > 12
    assert {"encode", "classifier", "note images"} <= set(told.stages)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> TerminalReporter:
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "60")
    times = iter(range(10, 1000, 10))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(times)))
    return TerminalReporter()


def test_the_bar_on_a_terminal_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    with reporting(drawn(monkeypatch, screen)), progress("a task with a name that is long", 4) as done:
        done(1)
        note("a note of\x1b some words, which is longer than the terminal is wide")
        done(3)
    shown = screen.getvalue().replace("\x1b[K", "").replace("\n", "\r").split("\r")
    lines = [line for line in shown if line]
    assert lines[0] == "[........................]   0 %  a task with a name that i"
    assert lines[1] == "[######..................]  25 %  a task with a name that i"
    assert lines[2:4] == [r"a note of\x1b some words, which is longer than the terminal", "  is wide"]
    assert lines[4] == lines[1]  # it is drawn anew below
    assert all(len(line) < 60 for line in lines)
    assert screen.getvalue().endswith("\r\x1b[K")


def test_what_is_left_is_guessed_from_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    with reporting(drawn(monkeypatch, screen)), progress("task", 4) as done:
        done(1)
        done(2)
        done(4)
    assert "25 %  task 1/4, 30 s left" in screen.getvalue()
    assert "50 %  task 2/4, 20 s left" in screen.getvalue()
    assert "100 %  task 4/4\x1b" in screen.getvalue()


def test_a_note_is_written_before_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding="utf-8"))
    TerminalReporter().note("why")
    assert written.getvalue() == b"why\n"


def test_where_there_is_no_terminal_only_notes_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with reporting(drawn(monkeypatch, stream)), progress("task", 4) as done:
        done(1)
        note("a note")
    assert stream.getvalue() == "a note\n"


def test_tqdm_shows_it_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    images = [np.full((8, 8, 3), value, np.uint8) for value in (0, 250, 10, 255)]
    with reporting():
        ImageClassifier(ColorHistogram()).fit(images, ["black", "white"] * 2)
        note("a note")
    assert "100%" in screen.getvalue()
    assert "note images" in screen.getvalue()
    assert screen.getvalue().endswith("a note\n")


def test_without_tqdm_it_is_cvbows_own_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module.importlib.util, "find_spec", lambda name: None)
    screen = Screen()
    reporter = drawn(monkeypatch, screen)
    assert isinstance(reporter, TerminalReporter)
    with reporting(), progress("task", 2) as done:
        done(1)
    assert "50 %  task 1/2" in screen.getvalue()


def test_the_library_is_silent_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    images = [np.full((8, 8, 3), value, np.uint8) for value in (0, 250, 10, 255)]
    ImageClassifier(ColorHistogram()).fit(images, ["black", "white"] * 2)
    assert capsys.readouterr() == ("", "")


def test_what_is_no_reporter_is_refused_at_once() -> None:
    for wrong in ("BAR", 5):
        with pytest.raises(ValueError, match="reporter must be 'bar', None, or have the methods note, show, finish"):
            reporting(wrong).__enter__()  # type: ignore[arg-type]


def test_the_share_never_gets_smaller() -> None:
    told = Notes()
    with reporting(told), progress("outer", 4) as done:
        inside = tracked("inner", [1, 2, 3])
        for _ in range(3):
            next(inside)
        done(0)
        inside.close()
    shares = [share for share, _ in told.shown]
    assert shares == sorted(shares)
