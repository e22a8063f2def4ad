"""The checkpoint to go on from: never one that is cut off, whichever file and wherever it was cut."""

import json
import logging
import re
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import Trainer, TrainingArguments

from hf_select.callbacks import SelectionCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.errors import CorruptStateError, HfSelectError
from hf_select.training import PaddingCollator, last_whole_checkpoint
from hf_select.training.resume import damage_of
from hf_select.training.seal import is_sealed, sealed, unsealed
from tests.callbacks.test_selection import make_rows

CUTS = ("0", "1", "8", "half", "-1")
NEEDED = {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"}
NOT_READ = {"config.json", "generation_config.json", "training_args.bin", "tokenizer.json", "tokenizer_config.json"}


def trainer_of(folder, callbacks=(), model=None, **settings):
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=2, use_cpu=True, dataloader_pin_memory=False,
        remove_unused_columns=False, disable_tqdm=True, report_to="none", max_steps=6, save_steps=2, logging_steps=1,
        **settings,
    )  # fmt: skip
    return Trainer(
        model or build_model(tokenizer, hidden=16, layers=1, heads=2), args, train_dataset=make_rows(),
        data_collator=PaddingCollator(tokenizer, 24), processing_class=tokenizer, callbacks=list(callbacks),
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run with a selection in each of its checkpoints 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("run")
    trainer_of(folder, [SelectionCallback("loss", "40%", every=2)]).train()
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def cut(path, where):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 if where == "half" else int(where)])


def same_json(path, other):
    try:
        return json.loads(path.read_text()) == json.loads(other.read_text())
    except ValueError:
        return False


def test_the_newest_is_taken_where_all_are_whole(run, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "hf_select"):
        assert last_whole_checkpoint(run) == run / "checkpoint-6"
        assert last_whole_checkpoint(str(run)) == run / "checkpoint-6"
        assert last_whole_checkpoint(tmp_path) is None
        assert last_whole_checkpoint(tmp_path / "absent") is None
    assert not caplog.records
    assert {path.name for path in (run / "checkpoint-6").iterdir()} == NEEDED | NOT_READ


@pytest.mark.parametrize("where", CUTS)
@pytest.mark.parametrize("name", sorted(NEEDED | NOT_READ))
def test_a_cut_in_any_file_falls_back_to_the_checkpoint_before(run, copy, caplog, name, where):
    damaged = copy / "checkpoint-6" / name
    cut(damaged, where)
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = last_whole_checkpoint(copy)
    if name.endswith(".json") and same_json(damaged, run / "checkpoint-6" / name):
        assert where == "-1"  # all that was cut is the end of the last line
        assert found == copy / "checkpoint-6"
        return
    assert found == copy / "checkpoint-4"
    [record] = caplog.records
    assert record.message.startswith(f"Skipped {copy / 'checkpoint-6'}: {name} is cut off or damaged")


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_missing_file_falls_back_too_and_none_whole_is_said(copy, caplog, name):
    (copy / "checkpoint-6" / name).unlink()
    assert last_whole_checkpoint(copy) == copy / "checkpoint-4"
    for step in (2, 4):
        (copy / f"checkpoint-{step}" / name).unlink()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "hf_select"):
        assert last_whole_checkpoint(copy) is None
    assert len(caplog.records) == 4
    assert "None of the 3 checkpoints" in caplog.records[-1].message
    assert "starts anew" in caplog.records[-1].message


def test_a_resumed_run_needs_no_more_than_these(run, copy):
    for name in NOT_READ:
        (copy / "checkpoint-4" / name).unlink()
    shutil.rmtree(copy / "checkpoint-6")
    found = last_whole_checkpoint(copy)
    assert found == copy / "checkpoint-4"
    trainer_of(copy, [SelectionCallback("loss", "40%", every=2)]).train(resume_from_checkpoint=str(found))
    one, other = (load_file(folder / "checkpoint-6" / "model.safetensors") for folder in (run, copy))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_else_makes_a_checkpoint_unfit(copy):
    (copy / "checkpoint-6" / "checkpoint-is-incomplete.txt").touch()
    assert last_whole_checkpoint(copy) == copy / "checkpoint-4"
    (copy / "checkpoint-4").rename(copy / "checkpoint-5")  # its trainer_state.json is of step 4
    assert damage_of(copy / "checkpoint-5") == "trainer_state.json is not of step 5"
    assert last_whole_checkpoint(copy) == copy / "checkpoint-2"
    (copy / "checkpoint-2" / "rng_state.pth").rename(copy / "checkpoint-2" / "rng_state_1.pth")
    assert damage_of(copy / "checkpoint-2") == "it has the random states of processes [1] alone"


@pytest.mark.parametrize("shard", ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
def test_every_shard_of_the_weights_is_looked_at(copy, shard):
    checkpoint = copy / "checkpoint-6"
    weights = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    model = trainer_of(copy).model
    model.load_state_dict(weights, strict=False)
    model.save_pretrained(checkpoint, max_shard_size="10KB")
    shards = sorted(path.name for path in checkpoint.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert damage_of(checkpoint) is None
    chosen = checkpoint / (shards[0] if shard.startswith("model-00001") else shards[-1])
    content = chosen.read_bytes()
    cut(chosen, "-1")
    assert last_whole_checkpoint(copy) == copy / "checkpoint-4"
    chosen.write_bytes(content)
    assert damage_of(checkpoint) is None
    chosen.unlink()
    assert last_whole_checkpoint(copy) == copy / "checkpoint-4"
    (checkpoint / "model.safetensors.index.json").unlink()
    assert damage_of(checkpoint) == "it has no weights"


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's
def test_an_adapter_is_weights_too(tmp_path):
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    adapter = get_peft_model(
        build_model(tokenizer, hidden=16, layers=1, heads=2), LoraConfig(target_modules="all-linear")
    )
    trainer_of(tmp_path, model=adapter).train()
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-6"
    cut(tmp_path / "checkpoint-6" / "adapter_model.safetensors", "-1")
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-4"


def attributes_of(path):
    state = json.loads(path.read_text())
    return state, state["stateful_callbacks"]["SelectionCallback"]["attributes"]


@pytest.mark.parametrize("change", ["in_use", "position", "ledger", "step", "sha256", "no sha256", "gone", "name"])
def test_a_changed_selection_is_noticed_before_and_at_the_resumption(copy, change):
    path = copy / "checkpoint-6" / "trainer_state.json"
    state, kept = attributes_of(path)
    if change in ("in_use", "position"):
        event = kept["events"][0]
        event[change] = event[change] + 1 if change == "position" else event[change][::-1]
    elif change == "ledger":
        kept["ledger"][0]["n_rows"] += 1
    elif change == "step":
        kept["step"] = 4
    elif change == "sha256":
        kept["sha256"] = "0" * 64
    elif change == "no sha256":
        del kept["sha256"]
    elif change == "gone":
        state["stateful_callbacks"]["SelectionCallback"] = {"args": {}}
    else:
        state["stateful_callbacks"]["SelectiooCallback"] = state["stateful_callbacks"].pop("SelectionCallback")
    path.write_text(json.dumps(state))
    assert re.search("does not match its sha256|belongs to", damage_of(copy / "checkpoint-6"))
    assert last_whole_checkpoint(copy) == copy / "checkpoint-4"
    trainer = trainer_of(copy, [SelectionCallback("loss", "40%", every=2)])
    with pytest.raises(
        CorruptStateError, match=r"trainer_state.json of checkpoint-6: .*Resume from an older checkpoint"
    ):
        trainer.train(resume_from_checkpoint=str(copy / "checkpoint-6"))


def test_flipped_bytes_in_the_selection_never_pass(run, copy):
    """Every 7th byte of the part of the file that holds the selection."""
    path = copy / "checkpoint-6" / "trainer_state.json"
    content = path.read_bytes()
    first, last = content.index(b'"SelectionCallback"'), content.index(b'"TrainerControl"')
    n_noticed = 0
    places = range(first, last, 7)
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        if damage_of(copy / "checkpoint-6") is None:  # white space, or the name of something nobody reads
            assert attributes_of(path)[1] == attributes_of(run / "checkpoint-6" / "trainer_state.json")[1]
        else:
            n_noticed += 1
    assert len(places) > 100
    assert n_noticed > 0.5 * len(places)


def test_the_seal_holds_plain_data():
    kept = {"step": 3, "events": [{"in_use": "c$", "n": 0.1}]}
    again = json.loads(json.dumps(sealed("One", kept)))
    assert unsealed("One", {"attributes": again}, "here") == {"callback": "One", **kept}
    assert unsealed("One", {"attributes": again}, "here", 3) == {"callback": "One", **kept}
    with pytest.raises(CorruptStateError, match="belongs to a One at step 3 and stands as that of a One at step 4"):
        unsealed("One", {"attributes": again}, "here", 4)
    with pytest.raises(CorruptStateError, match="belongs to a One at step 3 and stands as that of a Two at step 3"):
        unsealed("Two", {"attributes": again}, "here", 3)
    for broken in ({"attributes": {**again, "step": 4}}, {"attributes": kept}, {"attributes": None}, {}, None, "text"):
        with pytest.raises(CorruptStateError, match=r"^here: .*does not match its sha256"):
            unsealed("One", broken, "here", 3)
    assert is_sealed({"attributes": again})
    assert not any(map(is_sealed, ({"attributes": kept}, {"attributes": None}, {}, None, [])))
    assert issubclass(CorruptStateError, HfSelectError)
    assert issubclass(CorruptStateError, ValueError)
