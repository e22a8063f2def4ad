"""A small RoBERTa encoder, pre-trained on generated functions: what the demo fine-tunes where others load CodeBERT.

It learns two things, as BERT did, neither of which needs a label. First tokens of a body are hidden or exchanged and
restored; then whole bodies are told apart from those of other functions. The docstring determines the body, so what is
learned is which code belongs to which words::

    def f(xs):                                         def f(xs):
        \"\"\"Return the sum of xs greater than 3.\"\"\"        \"\"\"Return the sum of xs greater than 3.\"\"\"
        return sum(x for x <mask> xs if x > 8)             return sorted(x for x in xs if x % 2 == 0)
                           in               3              the body of another function
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hf_select.demo.model import train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, RobertaForMaskedLM

M = TypeVar("M")

N_CORPUS = 6000
"""Functions that the encoder is pre-trained on."""

_VOCABULARY = 512
_MAX_LENGTH = 128
_CLS, _SEP, _MASK = "<s>", "</s>", "<mask>"
_SELECTED, _HIDDEN, _EXCHANGED = 0.3, 0.5, 0.3  # share of body tokens to restore; of these hidden, and exchanged
_STEPS = (400, 400)  # of restoring, and of telling apart
_RESTORING: Mapping[str, Any] = {"learning_rate": 2e-3, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 40}
_MATCHING: Mapping[str, Any] = {"learning_rate": 1.4e-3, "lr_scheduler_type": "cosine"}
_TRAINING: Mapping[str, Any] = {
    "per_device_train_batch_size": 64,
    "weight_decay": 0.01,
    "adam_beta2": 0.98,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "remove_unused_columns": False,
}


def train_encoder_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that frames a text as ``<s> text </s>``.

    Args:
        texts: what to learn merges from.

    Returns:
        The tokenizer; pads on the right.
    """
    from tokenizers.processors import TemplateProcessing

    tokenizer = train_tokenizer(texts, _VOCABULARY)
    special: dict[str, Any] = {
        "bos_token": _CLS,
        "eos_token": _SEP,
        "cls_token": _CLS,
        "sep_token": _SEP,
        "mask_token": _MASK,
    }
    tokenizer.add_special_tokens(special)
    frame = [(token, tokenizer.get_vocab()[token]) for token in (_CLS, _SEP)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{_CLS} $A {_SEP}", pair=f"{_CLS} $A {_SEP} $B {_SEP}", special_tokens=frame
    )
    tokenizer.padding_side = "right"
    tokenizer.model_max_length = _MAX_LENGTH
    return tokenizer


def build_encoder(
    tokenizer: PreTrainedTokenizerFast, seed: int = 0, *, hidden: int = 96, layers: int = 3, heads: int = 4
) -> RobertaForMaskedLM:
    """Build a RoBERTa with random weights, on the CPU.

    Args:
        tokenizer: gives the vocabulary and the special tokens.
        seed: seeds the initial weights; the global random state is left as it was found.
        hidden: width; the MLP is twice as wide.
        layers: number of layers.
        heads: attention heads, a divisor of ``hidden``.

    Returns:
        The model in float32, with dropout of 0.1.
    """
    from transformers import RobertaConfig, RobertaForMaskedLM

    padding = int(tokenizer.pad_token_id)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * hidden,
        max_position_embeddings=_MAX_LENGTH + padding + 1,  # RoBERTa counts positions from behind that of padding
        type_vocab_size=1,
        tie_word_embeddings=False,  # learns to restore in fewer steps
        initializer_range=0.06,  # suits this width; the usual 0.02 learns slower
        pad_token_id=padding,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )
    return _seeded(RobertaForMaskedLM, config, seed)


def pretrain_encoder(
    corpus: Sequence[str], folder: Path, *, seed: int = 0, steps: tuple[int, int] = _STEPS, **training: Any
) -> dict[str, float]:
    """Train tokenizer and encoder on functions, and save both; the encoder without any head, as CodeBERT comes.

    Args:
        corpus: the functions.
        folder: where model and tokenizer go.
        seed: draws initial weights, order, what is hidden and which bodies are swapped.
        steps: steps of restoring tokens, and of telling bodies apart.
        **training: fields of ``TrainingArguments`` that differ from those that suit the demo.

    Returns:
        ``seconds``, and the mean losses ``restoring_loss`` and ``matching_loss``.
    """
    from transformers import DataCollatorWithPadding, RobertaForSequenceClassification

    from hf_select.signals.shards import processes

    tokenizer = train_encoder_tokenizer(corpus)
    restorer = build_encoder(tokenizer, seed)
    features = body_features(corpus, tokenizer)
    masking = BodyMasking(tokenizer, seed, bodies=[token for row in features for token in row["body"]])
    settings = {**_TRAINING, "seed": seed, "output_dir": str(folder)}
    first = _train(restorer, features, masking, {**settings, **_RESTORING, "max_steps": steps[0], **training})
    matcher = _seeded(RobertaForSequenceClassification, restorer.config, seed)
    matcher.roberta = restorer.roberta
    pairs = matching_features(corpus, tokenizer, seed)
    collator = DataCollatorWithPadding(tokenizer)
    second = _train(matcher, pairs, collator, {**settings, **_MATCHING, "max_steps": steps[1], **training})
    if processes().is_main_process:
        matcher.roberta.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    processes().wait_for_everyone()
    return {
        "seconds": first["train_runtime"] + second["train_runtime"],
        "restoring_loss": first["train_loss"],
        "matching_loss": second["train_loss"],
    }


def _seeded(kind: Callable[[Any], M], config: Any, seed: int) -> M:
    """A model with random weights from a seed, on the CPU; the global random state is left as it was found."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
        return kind(config)


def _train(model: Any, features: Any, collator: Any, settings: Mapping[str, Any]) -> dict[str, float]:
    import torch
    from transformers import PrinterCallback, TrainingArguments

    from hf_select.training.replicated_trainer import ReplicatedTrainer

    has_accelerator = torch.accelerator.is_available()
    arguments = TrainingArguments(use_cpu=not has_accelerator, dataloader_pin_memory=has_accelerator, **settings)
    trainer = ReplicatedTrainer(model=model, args=arguments, train_dataset=features, data_collator=collator)
    trainer.remove_callback(PrinterCallback)
    return {name: float(value) for name, value in trainer.train().metrics.items()}


def matching_features(corpus: Sequence[str], tokenizer: PreTrainedTokenizerFast, seed: int) -> list[dict[str, Any]]:
    """Every function with its own body, label 0, and with that of another one of the same signature, label 1.

    Args:
        corpus: functions whose first two lines are signature and docstring.
        tokenizer: their tokenizer.
        seed: draws the other functions.

    Returns:
        ``input_ids`` and ``labels``, two features a function.
    """
    rng = random.Random(seed)
    split = [code.splitlines(keepends=True) for code in corpus]
    bodies: dict[str, list[str]] = {}
    for signature, _, body in split:
        bodies.setdefault(signature, []).append(body)
    swapped = [signature + words + rng.choice(bodies[signature]) for signature, words, _ in split]
    texts = [*corpus, *swapped]
    right = set(corpus)  # the draw may give a function its own body
    return [
        {"input_ids": ids, "labels": int(text not in right)}
        for ids, text in zip(tokenizer(texts)["input_ids"], texts, strict=True)
    ]


def body_features(corpus: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> list[dict[str, list[int]]]:
    """Functions as token ids, and which of them are the body.

    Args:
        corpus: functions whose first two lines are signature and docstring.
        tokenizer: their tokenizer.

    Returns:
        ``input_ids`` of the function, ``body`` its last tokens without the final special one.
    """
    heads = ["".join(code.splitlines(keepends=True)[:2]) for code in corpus]
    n_shown = [len(ids) - 1 for ids in tokenizer(heads)["input_ids"]]
    whole = tokenizer(list(corpus))["input_ids"]
    return [{"input_ids": ids, "body": ids[n:-1]} for ids, n in zip(whole, n_shown, strict=True)]


@dataclass
class BodyMasking:
    """Makes batches in which tokens of the bodies are hidden or exchanged, to be restored.

    Args:
        tokenizer: gives the mask and pads.
        seed: draws what is hidden.
        bodies: tokens of bodies, which take the place of exchanged ones.
    """

    tokenizer: PreTrainedTokenizerFast
    seed: int
    bodies: Sequence[int] = field(repr=False)

    def __post_init__(self) -> None:
        """Make the generator and the tensor of tokens."""
        import torch

        self._generator = torch.Generator().manual_seed(self.seed)
        self._bodies = torch.tensor(self.bodies)

    def __call__(self, features: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        """Make one batch.

        Args:
            features: as ``body_features`` gives them.

        Returns:
            ``input_ids``, ``attention_mask`` and ``labels``, -100 where nothing is to be restored.
        """
        import torch

        batch = dict(
            self.tokenizer.pad({"input_ids": [list(row["input_ids"]) for row in features]}, return_tensors="pt")
        )
        ids = batch["input_ids"]
        in_body = torch.zeros_like(ids, dtype=torch.bool)
        for place, row in enumerate(features):
            end = len(row["input_ids"]) - 1
            in_body[place, end - len(row["body"]) : end] = True
        selected = in_body & (torch.rand(ids.shape, generator=self._generator) < _SELECTED)
        lot = torch.rand(ids.shape, generator=self._generator)
        labels = torch.where(selected, ids, -100)
        ids = torch.where(selected & (lot < _HIDDEN), int(self.tokenizer.mask_token_id), ids)
        drawn = self._bodies[torch.randint(len(self._bodies), ids.shape, generator=self._generator)]
        exchanged = selected & (lot > 1 - _EXCHANGED)
        return {**batch, "input_ids": torch.where(exchanged, drawn, ids), "labels": labels}
