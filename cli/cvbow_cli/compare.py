"""``cvbow compare``."""

from __future__ import annotations

import click

from cvbow.datasets import LabelledImages, load_dataset, locate
from cvbow.experiments import (
    FixedSplit,
    KFold,
    SplitProtocol,
    compare,
    find_benchmark,
    result_tables,
    write_result,
)
from cvbow.images import list_images
from cvbow.presets import parse_contender
from cvbow.report import PLOTS, write_comparison_plots
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    option_background,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)
from cvbow_cli._output import check_output, check_output_folder, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]


def _counts(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.BadParameter(f"must be integers separated by commas, such as 5,10,20; got {text!r}") from None


@click.command(name="compare")
@click.argument("source", metavar="[DIR]", required=False, type=InputPath())
@click.option(
    "--with", "-w", "backends", metavar="BACKEND", multiple=True, required=True, help="Backend to compare; repeatable."
)
@click.option("--benchmark", metavar="NAME", help="Use the data set and splits of a benchmark, instead of DIR.")
@click.option("--data", metavar="DIR", type=click.Path(file_okay=False), help="Folder of the benchmark's data set.")
@click.option("--classifier", default="tuned-svm", show_default=True, metavar="NAME", help="Classifier for all.")
@click.option("--curve", metavar="N,N,...", callback=_counts, help="Training images per class for a learning curve.")
@click.option("--corruptions", is_flag=True, help="Also evaluate on corrupted test images: noise, blur, JPEG, ...")
@output_option("--output", "-o", suffixes=(".json",), metavar="FILE.json", help="Result file to write.")
@click.option(
    "--plots", metavar="DIR", type=click.Path(file_okay=False), help="Folder for pictures (needs matplotlib)."
)
@click.option("--markdown", is_flag=True, help="Print Markdown tables.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of splits, dictionaries.")
@click.option(
    "--cache", metavar="DIR", type=click.Path(file_okay=False), help="Folder for vectors; no times are shown."
)
@option_max_pixels
@option_background
@work_options
@option_json
def command(
    source: str | None,
    backends: tuple[str, ...],
    benchmark: str | None,
    data: str | None,
    classifier: str,
    curve: tuple[int, ...],
    corruptions: bool,
    output: str | None,
    plots: str | None,
    markdown: bool,
    seed: int,
    cache: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Compare backends on the same images, splits and classifier, with intervals, tests and costs.

    A BACKEND is a preset (bow, fisher), one of the simplest descriptions (pixels, colors), a network (NET.onnx, or one
    that cvbow knows, in the folder $CVBOW_NETWORKS: squeezenet1.1, mobilenet-v1-0.75), a torchvision model (resnet50,
    or with your own weights resnet50@FILE.pth), or several joined by +. A name may go before it: both=fisher+NET.onnx.
    DIR holds class folders, which are split into five folds, or train/ and test/ folders of them.

    \b
    Example:
      cvbow compare photos/ -w pixels -w bow -w mobilenet.onnx
      cvbow compare --benchmark scene15-bow --data scene15/ -w fisher \\
          -w net.onnx -w both=fisher+net.onnx --curve 5,10,20,50,100 \\
          --corruptions -o comparison.json --plots pictures/
    """
    contenders = [parse_contender(text) for text in backends]
    images, protocol, title = _material(source, benchmark, data)
    check_output(output, [source, *images.images])
    check_output_folder(plots, PLOTS, images.images)
    result = compare(
        images,
        protocol,
        contenders,
        classifier=classifier,
        curve=curve,
        corruptions=corruptions,
        seed=seed,
        n_jobs=n_jobs,
        memory=cache,
        title=title,
    )
    if output is not None:
        write_result(output, result)
    pictures = write_comparison_plots(plots, result) if plots is not None else []
    if as_json:
        echo_json(result)
        return
    echo_tables(result_tables(result).values(), markdown=markdown)
    for written in ([] if output is None else [output]) + [str(path) for path in pictures]:
        click.echo(f"wrote {printable(written)}", err=True)


def _material(source: str | None, benchmark: str | None, data: str | None) -> tuple[LabelledImages, SplitProtocol, str]:
    """Return the images, their splits and a title."""
    if (source is None) == (benchmark is None):
        raise click.UsageError("give either DIR or --benchmark NAME")
    if benchmark is not None:
        definition = find_benchmark(benchmark)
        protocol = definition.protocol
        if not isinstance(protocol, SplitProtocol):
            raise click.UsageError(f"--benchmark must be one of classification or comparison, got {benchmark}")
        return load_dataset(locate(definition.dataset, data)), protocol, definition.title
    if data is not None:
        raise click.UsageError("--data needs --benchmark")
    listed = list_images(str(source))
    images = LabelledImages.from_list(listed)
    return images, FixedSplit() if images.partitions else KFold(5), str(source)
