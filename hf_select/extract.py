"""The first verb: read the signals that methods need, each pass once, into columns of the dataset.

dataset -> rows -> text pass, embedding pass, forward pass, answer-alone pass -> signal_<name> columns
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_select.extraction import Extraction, as_companions, as_task
from hf_select.signals.keys import Mask, Signal, Task
from hf_select.signals.models import Companions, Models
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH
from hf_select.signals.source import Embed, Options
from hf_select.signals.store import CacheDir
from hf_select.templates import Template

if TYPE_CHECKING:
    from datasets import Dataset


def extract(
    dataset: Dataset,
    needs: Iterable[Signal[Any]],
    *,
    model: Any = None,
    tokenizer: Any = None,
    embedder: Any = None,
    columns: Mapping[str, str] | None = None,
    template: str | Template | None = None,
    max_length: int | None = None,
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH,
    embed: Embed | None = None,
    max_seq_length: int | None = None,
    score_eos: bool = False,
    revision: str | None = None,
    cache_dir: CacheDir = None,
    progress: bool = True,
    task: Task | str | None = None,
    companions: Companions | Mapping[str, Any] | None = None,
    reference: Dataset | Mapping[str, Dataset] | None = None,
    labelled: Mask | Sequence[int] | None = None,
    max_new_tokens: int = 256,
    seed: int = 0,
) -> Dataset:
    """Add one column per signal.

    A signal column that is already there is kept if nothing is given to read it anew (no ``model`` for the model
    passes, no ``embedder`` for ``EMBEDDING``, neither tokenizer nor model for the text pass): it is then taken on your
    word. Otherwise it is replaced, so that no column of another model or of edited rows is used by mistake; the store
    in ``cache_dir`` makes that free where nothing has changed.

    Args:
        dataset: the dataset, one split.
        needs: the signals, for example ``method.needs``.
        model: the causal language model of the model passes: a Hub id, a path or an object (PEFT and DDP wrappers too).
            A name is loaded in the checkpoint's dtype to this process's device; remote code is never run.
        tokenizer: its tokenizer; a model given by name brings its own.
        embedder: a sentence-transformers model (name, path or object), ``"tfidf"``, or ``None`` to pool the states of
            ``model``.
        columns: which column is the ``prompt``, ``response``, ``context``, ``label`` or ``messages``.
        template: wording of the prompt: a name, a text with ``{prompt}``, or a ``Template``. By default
            ``"question"``; ``"chat"`` for conversations with a chat template; ``"plain"`` for plain text.
        max_length: tokens of a row at most, by default what the model was made for. Responses are cut to fit, prompts
            never; both are counted and told.
        max_tokens_per_batch: tokens of one forward pass. Halved batch by batch where memory does not suffice.
        embed: what to embed: ``"prompt"`` (the default), ``"response"`` (the default of plain text) or ``"both"``.
        max_seq_length: tokens after which a sentence-transformers model cuts a text; its own by default.
        score_eos: end each response with the end-of-sequence token and score that too.
        revision: revision of a model that is given by Hub id.
        cache_dir: where finished shards lie, so that a killed run continues: ``None`` for
            ``HF_HOME/hf_select/signals``, ``False`` for nowhere.
        progress: show progress bars on the main process.
        task: ``"causal_lm"`` or ``"classification"``; by default what the model is.
        companions: models besides ``model``, which few signals need.
        reference: rows to aim at, one dataset or one per task; read by the gradients pass.
        labelled: rows in use already, as a mask or row ids: demonstrations come from them, a loss head learns on them.
        max_new_tokens: tokens of a generated response at most.
        seed: of the passes that draw (dropout masks, demonstrations, sampled responses).

    Returns:
        The dataset with the columns ``signal_<name>``; all others unchanged.

    Example:
        ``extract(dataset, {RESPONSE_NLL, ANSWER_ALONE_NLL}, model="gpt2")``
    """
    options = Options(
        template, max_length, max_tokens_per_batch, embed, max_seq_length, score_eos, cache_dir, progress, seed,
        max_new_tokens,
    )  # fmt: skip
    models = Models(model, tokenizer, embedder, revision, as_task(task), as_companions(companions))
    return Extraction(dataset, models, columns, options, labelled=labelled, reference=reference).extract(needs)
