"""What a trained model is worth: loss on held-out solutions, and pass@1."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import RowError
from hf_select.experiment.arguments import Arguments
from hf_select.experiment.pool import Pool
from hf_select.rows import Row
from hf_select.signals.keys import RESPONSE_NLL, RESPONSE_TOKENS, Signal
from hf_select.signals.table import Signals

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger("hf_select")


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pool: Pool, arguments: Arguments, folder: Path
) -> dict[str, Any]:
    """Measure a model on the pool's validation rows and benchmarks.

    Args:
        model: the trained model.
        tokenizer: its tokenizer.
        pool: validation rows and problems.
        arguments: the arguments of the run.
        folder: where the samples of each benchmark are written.

    Returns:
        ``validation_losses`` (nats per token, by name) and ``benchmarks`` (the evaluation of each, as plain data).
    """
    from accelerate import Accelerator

    from hf_select.evaluation.run import evaluate_model

    asked = arguments.evaluation
    losses = {
        name: validation_loss(model, tokenizer, rows, arguments) for name, rows in pool.validation.items() if rows
    }
    benchmarks = {}
    for name, problems in pool.problems.items():
        result = evaluate_model(
            model,
            tokenizer,
            problems,
            style=asked.prompt_style,
            max_new_tokens=asked.max_new_tokens,
            n_samples=asked.n_samples,
            temperature=asked.temperature,
            batch_size=asked.evaluation_batch_size,
            allow_code_eval=asked.allow_code_eval or None,
            samples_path=folder / f"{name}.jsonl",
            accelerator=Accelerator(),
        )
        result.require_verdicts()
        benchmarks[name] = result.summary()
    return {"validation_losses": losses, "benchmarks": benchmarks}


def validation_loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: list[Row], arguments: Arguments
) -> float | None:
    """Mean loss over all response tokens of held-out rows, worded as in training.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        rows: the rows.
        arguments: the template. Rows may be as long as the model reads, not only ``max_length``.

    Returns:
        Nats per token; ``None``, with a warning, if no row fits into the model.
    """
    from datasets import Dataset

    from hf_select.extract import extract

    dataset = Dataset.from_dict({"prompt": [row.prompt for row in rows], "completion": [row.response for row in rows]})
    needs: list[Signal[Any]] = [RESPONSE_NLL, RESPONSE_TOKENS]
    try:
        scored = extract(
            dataset,
            needs,
            model=model,
            tokenizer=tokenizer,
            template=arguments.data.template,
            max_tokens_per_batch=arguments.selection.max_tokens_per_batch,
            cache_dir=False,
            progress=False,
        )
    except RowError as error:
        logger.warning("There is no validation loss: %s", error)
        return None
    signals = Signals.from_dataset(scored, needs)
    nll, n_tokens = np.asarray(signals[RESPONSE_NLL], np.float64), np.asarray(signals[RESPONSE_TOKENS], np.float64)
    scored_rows = np.isfinite(nll)
    return float(np.average(nll[scored_rows], weights=n_tokens[scored_rows]))
