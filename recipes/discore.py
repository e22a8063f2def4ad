"""DIScore: study how much single rows lower the loss of reference tasks while a model trains, and train on such rows.

The embedded default, offline, in minutes on two cores (Python files of this machine, HumanEval's solutions to aim at):

    accelerate launch recipes/discore.py

Generated tasks with tests, so that pass@1 is measured (it needs your word that model-written code may run):

    HF_ALLOW_CODE_EVAL=1 accelerate launch recipes/discore.py --config recipes/configs/discore_tasks_demo.yaml

Your model and data, and the paper's setting:

    accelerate launch recipes/discore.py --model_name_or_path MODEL --dataset_name FOLDER \
        --tasks humaneval,mbpp=mbpp.jsonl.gz --learning_rate 1e-4 --max_steps 2000 --n_scored 2000 --seeds 0,1,2
    accelerate launch --config_file recipes/accelerate/ddp.yaml recipes/discore.py \
        --config recipes/configs/discore_starcoder.yaml

Files that do not parse, near copies and files that hold a problem are left out by ``--gates
parses,near_duplicates,leakage`` before anything is cut or picked; pass@1 is given without leaked problems too.

A base run (warm-up, stable phase, decay) leaves checkpoints with the state of the optimiser. At each of them rows that
the base run did not see are scored: what would one step on the row alone do to the loss of each task? From one of them
training goes on: on the better, the worse and a random half of the scored rows; and on rows picked at random, picked
once, and picked again every so many steps. The run lands in ``output_dir``: results.json and report.md with plots. A
run that was cut off goes on with ``--resume``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning OpenMP threads slow shared cores down many times

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_select.errors import HfSelectError
from hf_select.experiment.launch import prepare_process
from hf_select.experiment.process import on_main_process
from hf_select.files import write_json
from hf_select.report import END_OF_SUMMARY
from hf_select.study.arguments import DiscoreArguments, parse_study_arguments
from hf_select.study.course import run_seed
from hf_select.study.estimate import announce
from hf_select.study.other_score import names_of
from hf_select.study.results import study_results
from hf_select.study.setting import prepare_settings

DEMO_CONFIG = Path(__file__).parent / "configs" / "discore_demo.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe.

    Args:
        argv: the words of the command line; ``None`` for the process's own.

    Returns:
        The exit status: 0, or 2 with a message where the input cannot be used.
    """
    try:
        arguments = parse_study_arguments(argv, description=__doc__ or "", default_config=DEMO_CONFIG)
        with prepare_process(arguments.experiment), _quiet():
            run_recipe(arguments)
    except HfSelectError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def run_recipe(arguments: DiscoreArguments) -> None:
    """Run every seed, then report.

    Args:
        arguments: the arguments of the run.
    """
    names_of(arguments)
    settings = prepare_settings(arguments)
    announce(settings)
    outcomes = [run_seed(setting, is_first=place == 0) for place, setting in enumerate(settings)]
    results = study_results(arguments, outcomes)
    folder = settings[0].run.folder
    on_main_process(lambda: write_outcome(folder, results))


def write_outcome(folder: Path, results: Mapping[str, Any]) -> None:
    """Write results.json and the report; print the summary.

    Args:
        folder: the run folder.
        results: the content of ``results.json``.
    """
    from hf_select.report.study_report import write_study_report

    write_json(folder / "results.json", results)
    report = write_study_report(folder, results)
    print(f"\n{report.read_text(encoding='utf-8').partition(END_OF_SUMMARY)[0]}", flush=True)
    print(f"Plots, costs, settings: {report}")


@contextmanager
def _quiet() -> Iterator[None]:
    """A study loads and writes hundreds of small things: no bars for those; and one line per stage."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    logger = logging.getLogger("hf_select")
    logger.addFilter(_is_worth_telling)
    try:
        yield
    finally:
        logger.removeFilter(_is_worth_telling)


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Estimates of passes that take no time are not: there are a few for every measurement."""
    return not (" pass: " in (said := record.getMessage()) and "about 0." in said)


if __name__ == "__main__":
    sys.exit(main())
