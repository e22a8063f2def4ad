"""The default that works offline: generated tasks, a pool with planted junk, and a model small enough for two cores."""

from hf_select.demo.grammar import DemoTask
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.demo.pool import DemoPool, build_pool

__all__ = ["DemoPool", "DemoTask", "build_model", "build_pool", "train_tokenizer"]
