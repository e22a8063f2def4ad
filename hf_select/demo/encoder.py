"""A small RoBERTa encoder, pre-trained on generated functions: what the demo fine-tunes where others load CodeBERT.

Pre-training hides or exchanges some tokens of each body and has the encoder restore them. The docstring determines the
body, so what is learned is which code belongs to which words, and that a token at hand may be the wrong one::

    def f(xs):                                     docstring: always shown
    \"\"\"Return the sum of xs greater than 3.\"\"\"
        return sum(x for x <mask> xs if x > 8)     body: hidden, exchanged, or shown
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.demo.model import train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, RobertaForMaskedLM

N_CORPUS = 6000
"""Functions that the encoder is pre-trained on."""

_VOCABULARY = 512
_MAX_LENGTH = 128
_CLS, _SEP, _MASK = "<s>", "</s>", "<mask>"
_SELECTED, _HIDDEN, _EXCHANGED = 0.3, 0.5, 0.3  # share of body tokens to restore; of these hidden, and exchanged
_TRAINING: Mapping[str, Any] = {
    "max_steps": 700,
    "per_device_train_batch_size": 64,
    "learning_rate": 2e-3,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
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
    special = {"bos_token": _CLS, "eos_token": _SEP, "cls_token": _CLS, "sep_token": _SEP, "mask_token": _MASK}
    tokenizer.add_special_tokens(special)
    frame = [(token, tokenizer.get_vocab()[token]) for token in (_CLS, _SEP)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{_CLS} $A {_SEP}", pair=f"{_CLS} $A {_SEP} $B {_SEP}", special_tokens=frame
    )
    tokenizer.padding_side = "right"
    tokenizer.model_max_length = _MAX_LENGTH
    return tokenizer


def build_encoder(
    tokenizer: PreTrainedTokenizerFast, seed: int = 0, *, hidden: int = 128, layers: int = 2, heads: int = 4
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
    import torch
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
        initializer_range=0.06,  # suits this width; the usual 0.02 learns slower
        pad_token_id=padding,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
        return RobertaForMaskedLM(config)


def pretrain_encoder(corpus: Sequence[str], folder: Path, *, seed: int = 0, **training: Any) -> dict[str, float]:
    """Train tokenizer and encoder on functions, and save both.

    Args:
        corpus: the functions.
        folder: where model and tokenizer go.
        seed: initial weights, order, and what is hidden.
        **training: fields of ``TrainingArguments`` that differ from those that suit the demo.

    Returns:
        ``seconds`` and the mean ``training_loss``.
    """
    import torch
    from transformers import PrinterCallback, TrainingArguments

    from hf_select.signals.shards import processes
    from hf_select.training.replicated_trainer import ReplicatedTrainer

    tokenizer = train_encoder_tokenizer(corpus)
    model = build_encoder(tokenizer, seed)
    has_accelerator = torch.accelerator.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        use_cpu=not has_accelerator,
        dataloader_pin_memory=has_accelerator,
        **{**_TRAINING, **training},
    )
    features = body_features(corpus, tokenizer)
    trainer = ReplicatedTrainer(
        model=model,
        args=arguments,
        train_dataset=features,
        data_collator=BodyMasking(tokenizer, seed, bodies=[token for row in features for token in row["body"]]),
    )
    trainer.remove_callback(PrinterCallback)
    outcome = trainer.train()
    if processes().is_main_process:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    processes().wait_for_everyone()
    return {"seconds": float(outcome.metrics["train_runtime"]), "training_loss": float(outcome.training_loss)}


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
