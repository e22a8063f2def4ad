"""The passes of a classifier and the stochastic pass of a language model: two processes find what one finds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAUNCHED = """
import sys
import torch
from datasets import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaForSequenceClassification
from hf_select.demo.model import train_tokenizer
from hf_select.extract import extract
from hf_select.signals import keys
from hf_select.signals.shards import processes
from hf_select.signals.table import Signals

tokenizer = train_tokenizer(["def add(a, b): return a + b"], 300)
shared = {"vocab_size": 320, "max_position_embeddings": 140, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0,
          "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.2}
torch.manual_seed(0)
classifier = RobertaForSequenceClassification(RobertaConfig(**shared, intermediate_size=48, num_labels=3))
causal = GPT2LMHeadModel(GPT2Config(**shared))
code = "def f(x): return x + {}\\n"
texts = Dataset.from_list([{"text": code.format(n) * (1 + n % 5), "label": n % 3} for n in range(43)])
pairs = Dataset.from_list([{"prompt": f"add {n}" * (1 + n % 4), "completion": code.format(n)} for n in range(43)])
state = processes()
torch.manual_seed(state.process_index)  # no value may come from the global random state
options = {"tokenizer": tokenizer, "max_tokens_per_batch": 300, "cache_dir": False, "progress": False}
of_texts = [keys.CLASS_PROBABILITIES, keys.EXPECTED_GRADIENT_LENGTH, keys.EMBEDDING, keys.PREDICTED_LOSS,
            keys.stochastic_probabilities(2), keys.perturbed_probabilities(2)]
of_pairs = [keys.token_mutual_information(2)]
with open(f"{sys.argv[1]}-{state.num_processes}-{state.process_index}", "wb") as file:
    for dataset, model, needs in ((texts, classifier, of_texts), (pairs, causal, of_pairs)):
        labelled = range(0, 43, 2) if dataset is texts else None
        found = Signals.from_dataset(extract(dataset, needs, model=model, labelled=labelled, **options), needs)
        for signal in needs:
            file.write(found[signal].tobytes())
state.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path) -> None:
    script = tmp_path / "run.py"
    script.write_text(LAUNCHED)
    out = str(tmp_path / "values")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(script), out], cwd=tmp_path, env=environment, check=True)
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launch = [sys.executable, "-m", "accelerate.commands.launch", *options.split(), "--main_process_port", "0"]
    environment["ACCELERATE_USE_CPU"] = "true"
    for _ in range(2):  # gloo aborts at exit in about 1 launch of 65
        done = subprocess.run(
            [*launch, str(script), out], cwd=tmp_path, env=environment, check=False, capture_output=True
        )
        if done.returncode == 0:
            break
        print("launched once more", done.stderr.decode()[-2000:])
    files = sorted(path.name for path in tmp_path.glob("values-*"))
    assert files == ["values-1-0", "values-2-0", "values-2-1"]
    one, *two = ((tmp_path / name).read_bytes() for name in files)
    assert len(one) == 43 * ((3 + 32 + 1 + 2 * 3 + 2 * 3) * 4 + 8 + 8)
    assert two == [one, one]
