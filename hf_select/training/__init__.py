"""Training on packed batches: no padding, no attention between samples, the stock ``Trainer``.

    packing.py        lengths -> rows                           pack, best_fit_decreasing
    collator.py       features of a batch -> packed tensors     DynamicPackCollator
    padding.py        features of a batch -> padded tensors     PaddingCollator
    packed_dataset.py tokenised dataset -> dataset of rows      pack_dataset
    attention.py      segments -> attention inside each         packed_attention, plain_attention
    packing_check.py  a model -> does it keep samples apart?    check_packing
    resume.py         run folder -> the checkpoint to go on from    last_whole_checkpoint

Example:
    ``Trainer(model, args, train_dataset=tokens, data_collator=DynamicPackCollator(tokenizer, max_length=2048))`` inside
    ``with packed_attention(model):``.
"""

from hf_select.training.attention import (
    PACKED_ATTENTION,
    packed_attention,
    packed_attention_forward,
    plain_attention,
    pretrained_model,
)
from hf_select.training.collator import DataCollatorWithDynamicPack, DynamicPackCollator
from hf_select.training.packed_dataset import pack_dataset
from hf_select.training.packing import Packing, best_fit_decreasing, pack, padded_size
from hf_select.training.packing_check import check_packing
from hf_select.training.padding import PaddingCollator
from hf_select.training.resume import last_whole_checkpoint
from hf_select.training.sample import CollationStats

__all__ = [
    "PACKED_ATTENTION",
    "CollationStats",
    "DataCollatorWithDynamicPack",
    "DynamicPackCollator",
    "Packing",
    "PaddingCollator",
    "best_fit_decreasing",
    "check_packing",
    "last_whole_checkpoint",
    "pack",
    "pack_dataset",
    "packed_attention",
    "packed_attention_forward",
    "padded_size",
    "plain_attention",
    "pretrained_model",
]
