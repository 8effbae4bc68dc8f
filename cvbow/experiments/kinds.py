"""The kinds of benchmarks: from a definition to a result to tables, whatever a benchmark is of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from cvbow._toml import TEXT, TomlTable, bundled, one_of
from cvbow.experiments import (
    classification,
    comparison,
    coverage,
    detection,
    explanation,
    labels,
    localization,
    matching,
    retrieval,
    segmentation,
)
from cvbow.experiments.definition import Definition
from cvbow.experiments.published import Row, beside
from cvbow.experiments.results import FORMAT, DataFolders, Job, read_json
from cvbow.experiments.scripts import (
    audit_faults,
    cluster,
    exported,
    fuzz_images,
    many_vectors,
    near_duplicates,
    skimage_segmentation,
    speed,
    tiny_images,
    tune_search,
)
from cvbow.experiments.scripts import detection as peers_of_detection
from cvbow.images import natural_key
from cvbow.tables import Table


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of benchmark.

    Attributes
    ----------
    result : str or collection of str
        What its result files say that they are; of a script's, keys of which they have one.
    tables : callable
        Takes a result; returns its tables by their names.
    rows : callable
        Takes a result; returns it beside the published figures, for a kind that has some.
    read : callable or None
        Takes a name and the table of a TOML file; returns the definition.
    run : callable or None
        Takes a definition and a ``Job``: the parameters of ``run_benchmark``; returns the result.
    script : str
        The script of this project that makes its results, in place of ``read`` and ``run``.

    Examples
    --------
    >>> from cvbow.experiments import KINDS
    >>> print(*(name for name, kind in KINDS.items() if kind.read is not None))
    classification comparison coverage detection explanation labels localization matching retrieval segmentation
    >>> KINDS["matching"].made({"kind": KINDS["matching"].result})
    True
    """

    result: str | frozenset[str]
    tables: Callable[[Any], dict[str, Table]]
    rows: Callable[[Any], list[Row]] = lambda result: []
    read: Callable[[str, TomlTable], Definition] | None = None
    run: Callable[..., Mapping[str, Any]] | None = None
    script: str = ""

    def made(self, document: Mapping[str, Any]) -> bool:
        """Tell whether a document is a result of this kind."""
        if isinstance(self.result, str):
            return document.get("kind") == self.result
        return not self.result.isdisjoint(document)


def _measured_by(script: ModuleType, folder: str = "benchmarks") -> Kind:
    """Return the kind of what the script of a module's name measures."""
    name = script.__name__.rpartition(".")[2]
    return Kind(result=script.RESULT, tables=script.tables, script=f"{folder}/{name}.py")


KINDS: dict[str, Kind] = {
    "classification": Kind(
        result=classification.RESULT,
        read=classification.read,
        run=classification.run,
        rows=classification.rows,
        tables=classification.tables,
    ),
    "comparison": Kind(result=comparison.RESULT, read=comparison.read, run=comparison.run, tables=comparison.tables),
    "coverage": Kind(result=coverage.RESULT, read=coverage.read, run=coverage.run, tables=coverage.tables),
    "detection": Kind(result=detection.RESULT, read=detection.read, run=detection.run, tables=detection.tables),
    "explanation": Kind(
        result=explanation.RESULT,
        read=explanation.read,
        run=explanation.run,
        tables=explanation.tables,
    ),
    "labels": Kind(result=labels.RESULT, read=labels.read, run=labels.run, tables=labels.tables),
    "localization": Kind(
        result=localization.RESULT,
        read=localization.read,
        run=localization.run,
        tables=localization.tables,
    ),
    "matching": Kind(result=matching.RESULT, read=matching.read, run=matching.run, tables=matching.tables),
    "retrieval": Kind(
        result=retrieval.RESULT,
        read=retrieval.read,
        run=retrieval.run,
        rows=retrieval.rows,
        tables=retrieval.tables,
    ),
    "segmentation": Kind(
        result=segmentation.RESULT,
        read=segmentation.read,
        run=segmentation.run,
        tables=segmentation.tables,
    ),
    "speed": _measured_by(speed),
    "near-duplicates": _measured_by(near_duplicates),
    "detectors": _measured_by(peers_of_detection),
    "segmentation-peer": _measured_by(skimage_segmentation, folder="benchmarks/peers"),
    "audit": _measured_by(audit_faults),
    "exported": _measured_by(exported),
    "tiny-images": _measured_by(tiny_images),
    "many-vectors": _measured_by(many_vectors),
    "cluster": _measured_by(cluster),
    "tune-search": _measured_by(tune_search),
    "fuzz": _measured_by(fuzz_images),
}


def benchmark_names() -> tuple[str, ...]:
    """Return the names of the definitions that come with cvbow.

    Examples
    --------
    >>> from cvbow.experiments import benchmark_names
    >>> "scene15-bow" in benchmark_names()
    True
    """
    return tuple(bundled("benchmarks"))


def find_benchmark(name: str) -> Definition:
    """Return a definition that comes with cvbow, or read one from a file whose name ends in ``.toml``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is none of that name, and the message lists those there are; or what ``read_benchmark`` finds.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> find_benchmark("scene15-spm").published[0].figure
    81.4
    """
    if name.endswith(".toml"):
        return read_benchmark(name)
    files = bundled("benchmarks")
    if name in KINDS and KINDS[name].script:
        raise ValueError(f"{name} is measured by a script of the project: python {KINDS[name].script}")
    if name not in files:
        raise ValueError(f"benchmark must be one of {', '.join(files)}, or a .toml file, got {name!r}")
    return read_benchmark(files[name])


def read_benchmark(path: str | os.PathLike[str]) -> Definition:
    """Read a definition; its ``kind`` is that of classification where the file does not say another.

    With ``like = "NAME"`` every key that the file does not give is the one of the definition NAME, which lies beside
    it or comes with cvbow. So another recipe under the same protocol is a file of two lines.

    Raises
    ------
    FileNotFoundError
    ValueError
        That names the file and the key which is missing, unknown or wrong.
    """
    path = Path(path)
    table = _inherited(path, ())
    readers = {name: kind.read for name, kind in KINDS.items() if kind.read is not None}
    definition = readers[table.take("kind", one_of(readers), "classification")](path.stem, table)
    table.finish()
    return definition


def _inherited(path: Path, above: tuple[Path, ...]) -> TomlTable:
    table = TomlTable.read(path)
    like = table.take("like", TEXT, None)
    if like is None:
        return table
    others = bundled("benchmarks") | {other.stem: other for other in path.parent.glob("*.toml")}
    if like not in others or others[like].resolve() in (*above, path.resolve()):
        table.fail("like", "the name of another definition")
    base = _inherited(others[like], (*above, path.resolve()))
    return TomlTable(path, {key: value for key, value in (base.values | table.values).items() if key != "like"})


def run_benchmark(
    definition: Definition,
    data: DataFolders | None = None,
    *,
    n_jobs: int | None = -1,
    memory: Any = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Run a benchmark.

    Parameters
    ----------
    definition : Definition
    data : path or mapping of str to path, optional
        The data set's folder, or the folders of this and others by their names; what is not given is looked for as
        ``cvbow.datasets.locate`` does.
    n_jobs : int or None, default -1
        Workers, by joblib's convention. They change no figure but the times.
    memory : str, path, joblib.Memory or None, default None
        Cache of vectors; the result then tells no times.
    quick : bool, default False
        A small part, to see that everything works. The result says so, and its figures mean nothing.

    Returns
    -------
    dict
        Plain values, for JSON: of classification ``ClassificationResult``, and so on.

    Raises
    ------
    DatasetError
        If a data set is not on this machine, and the message says how to get it; if it has other images than it
        should; or if a file is not the one that was fetched.
    ImageError
        For the first image that cannot be read.
    NetworkError
        If a network that takes part is not on this machine.
    ValueError
        If the data set does not allow the protocol, or ``data`` names one that does not take part.
    """
    run = KINDS[definition.kind].run
    if run is None:
        raise ValueError(f"definition must be of a kind that is run, got {definition.kind}")
    return dict(run(definition, Job(data, n_jobs, memory, quick)))


def read_result(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a result of any kind.

    Raises
    ------
    FileNotFoundError
    ValueError
        When the file is not a result, or of a format that this cvbow does not know.
    """
    result = read_json(path)
    if _kind(result) is None:
        raise ValueError(f"{os.fspath(path)}: not the result of a benchmark")
    if result.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{os.fspath(path)}: format {result['format']!r}; this cvbow reads format {FORMAT}")
    return dict(result)


def collect_results(paths: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """Read result files, and those results that lie directly in folders.

    Raises
    ------
    FileNotFoundError
    ValueError
        When a file that was named is not a result, or no result is found.
    """
    results = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(path.glob("*.json"), key=lambda file: natural_key(file.name))
            results += [read_result(file) for file in inside if _kind(read_json(file)) is not None]
        else:
            results.append(read_result(path))
    if not results:
        raise ValueError("no result of a benchmark was found there; cvbow bench run NAME -o FILE writes one")
    return results


def _kind(document: Any) -> Kind | None:
    if not isinstance(document, dict):
        return None
    return next((kind for kind in KINDS.values() if kind.made(document)), None)


def result_rows(results: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return results beside the published figures, a row more for each further figure."""
    return [row for result in results if (kind := _kind(result)) is not None for row in kind.rows(result)]


def result_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return a result's own tables by their names."""
    kind = _kind(result)
    return {} if kind is None else kind.tables(result)


def target_rows(definitions: Iterable[Definition]) -> list[Row]:
    """Return the published figures alone."""
    return [row for one in definitions for row in beside(one.published, one.name, one.recipe)]
