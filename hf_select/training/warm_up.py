"""Features for the warm-up of a scorer: instruction dropout.

A model that saw answers only after their instructions has never learned ``p(answer)``, so the denominator of IFD means
nothing: on the demo's pool IFD >= 1 then never fires. Every row therefore comes a second time without its prompt::

    prompt ... prompt  answer ... answer
    -100   ... -100    answer ... answer      labels

    context  answer ... answer                context = BOS, else EOS: what the answer-alone pass puts there
    -100     answer ... answer
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hf_select.errors import ModelError
from hf_select.tokens import IGNORED, context_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def warm_up_features(
    rows: Iterable[Mapping[str, Sequence[int]]], tokenizer: PreTrainedTokenizerBase
) -> list[dict[str, list[int]]]:
    """Features of every row with and without its prompt.

    Args:
        rows: tokenised rows with ``input_ids`` and ``labels`` (-100 on the prompt).
        tokenizer: gives the token that stands before an answer without prompt.

    Returns:
        Two features a row, ``input_ids`` and ``labels`` (loss on the response only), neighbours in the list.

    Raises:
        ModelError: if the tokenizer has neither a beginning- nor an end-of-sequence token.
    """
    context = context_id(tokenizer)
    if context is None:
        raise ModelError("A warm-up needs a token that stands for no prompt; give the tokenizer a BOS or an EOS token.")
    features = []
    for row in rows:
        labels = list(row["labels"])
        answer = [label for label in labels if label != IGNORED]
        features.append({"input_ids": list(row["input_ids"]), "labels": labels})
        features.append({"input_ids": [context, *answer], "labels": [IGNORED, *answer]})
    return features
