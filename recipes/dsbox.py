"""DSBox: compare selection methods on one dataset, at several budgets, with several seeds.

The embedded default, offline, in minutes on two cores (a small encoder finds planted bugs; all twenty methods):

    accelerate launch recipes/dsbox.py

Your model and data, and the paper's setting:

    accelerate launch recipes/dsbox.py --model_name_or_path microsoft/codebert-base --dataset_name rows.jsonl \
        --columns prompt=func,label=target --methods random,entropy,badge,k_means --budgets 1%,5% --seeds 0,1,2
    accelerate launch --config_file recipes/accelerate/ddp.yaml recipes/dsbox.py \
        --config recipes/configs/dsbox_devign.yaml

A language model instead of a classifier (pass@1 needs your word that model-written code may run):

    HF_ALLOW_CODE_EVAL=1 accelerate launch recipes/dsbox.py --config recipes/configs/dsbox_generation_demo.yaml

``--gates duplicates,parses`` takes rows out first, and says which and why.

Every seed divides the rows into test, validation and pool, and labels a few rows of the pool. A model that learned
those reads the signals of all methods, each pass once; every method picks at every budget; a fresh model learns the
labelled rows and the picks, and is measured on the test rows. The run lands in ``output_dir``: results.json,
cells.parquet, report.md with plots, and every selection. A run that was cut off goes on with ``--resume``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning OpenMP threads slow shared cores down many times

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_select.errors import HfSelectError
from hf_select.experiment.launch import prepare_process
from hf_select.experiment.process import on_main_process
from hf_select.experiment.run import Run
from hf_select.files import write_json
from hf_select.grid.arguments import GridArguments, parse_grid_arguments
from hf_select.grid.comparison import Progress, n_cells, overlaps_of, prepare_settings, run_seed
from hf_select.grid.plan import make_plan
from hf_select.grid.results import grid_results, write_cells
from hf_select.overlap import Overlap
from hf_select.report import END_OF_SUMMARY
from hf_select.report.grid_report import write_grid_report

DEMO_CONFIG = Path(__file__).parent / "configs" / "dsbox_demo.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe.

    Args:
        argv: the words of the command line; ``None`` for the process's own.

    Returns:
        The exit status: 0, or 2 with a message where the input cannot be used.
    """
    try:
        arguments = parse_grid_arguments(argv, description=__doc__ or "", default_config=DEMO_CONFIG)
        with prepare_process(arguments.experiment):
            _quieten()
            run_recipe(arguments)
    except HfSelectError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def run_recipe(arguments: GridArguments) -> None:
    """Run every cell of the grid, then report.

    Args:
        arguments: the arguments of the run.
    """
    plan = make_plan(arguments)
    run = Run.open(
        arguments.training.output_dir or "runs/dsbox",
        arguments.settings(),
        resume=arguments.run.resume,
        overwrite=arguments.run.overwrite_output_dir,
    )
    settings = prepare_settings(run, arguments, plan)
    progress = Progress(n_cells(plan, len(settings), full=arguments.selection.full_arm))
    outcomes = [run_seed(setting, plan, progress) for setting in settings]
    cells = [cell for outcome in outcomes for cell in outcome.cells]
    results = grid_results(arguments, plan, settings, cells)
    on_main_process(lambda: write_outcome(run, results, overlaps_of(outcomes, plan)))


def write_outcome(run: Run, results: Mapping[str, Any], overlaps: Mapping[str, Sequence[Overlap]]) -> None:
    """Write results.json, the table of cells and the report; print the summary.

    Args:
        run: the run folder.
        results: the content of ``results.json``.
        overlaps: what the selections of each budget share, one for every seed.
    """
    write_json(run.folder / "results.json", results)
    write_cells(run.folder / "cells.parquet", results["cells"])
    report = write_grid_report(run.folder, results, overlaps)
    print(f"\n{report.read_text(encoding='utf-8').partition(END_OF_SUMMARY)[0]}", flush=True)
    print(f"Plots, costs, every difference, settings: {report}")


def _quieten() -> None:
    """A grid loads and writes hundreds of small things: no bars for those, only for passes; and one line per cell."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()


if __name__ == "__main__":
    sys.exit(main())
