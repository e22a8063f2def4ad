"""Models by name and as objects: their kind, their limits, their companions, and checkpoints without a head."""

import pytest
import torch
from transformers import RobertaForMaskedLM, RobertaModel

from hf_select.errors import ConfigError, ModelError
from hf_select.signals.keys import Task
from hf_select.signals.models import Companions, Models


@pytest.fixture(scope="module")
def folders(make_classifier, make_model, tokenizer, tmp_path_factory) -> dict[str, str]:
    """Checkpoints on disk: a classifier, its encoder without a head, a masked and a causal language model."""
    root = tmp_path_factory.mktemp("checkpoints")
    classifier, causal = make_classifier("roberta"), make_model("llama")
    masked = RobertaForMaskedLM(classifier.config)
    masked.roberta = RobertaModel(classifier.config, add_pooling_layer=False)
    models = {"classifier": classifier, "encoder": classifier.roberta, "masked": masked, "causal": causal}
    for name, model in models.items():
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return {name: str(root / name) for name in models}


def test_a_classifier_with_its_head_is_loaded(folders, make_classifier) -> None:
    models = Models(folders["classifier"])
    assert models.task is Task.CLASSIFICATION
    assert type(models.model).__name__ == "RobertaForSequenceClassification"
    expected = make_classifier("roberta").state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in models.model.state_dict().items())
    assert models.model is models.model


@pytest.mark.parametrize("name", ["encoder", "masked"])
def test_a_checkpoint_without_a_head_is_refused(name, folders) -> None:
    random_state = torch.get_rng_state()
    models = Models(folders[name], given_task=Task.CLASSIFICATION)
    with pytest.raises(ModelError, match=r"has no weights for \['classifier\.dense.*hf_select\.warm_up"):
        _ = models.model
    torch.set_rng_state(random_state)


def test_a_causal_model_is_loaded(folders) -> None:
    models = Models(folders["causal"])
    assert models.task is Task.CAUSAL_LM
    assert type(models.model).__name__ == "LlamaForCausalLM"


def test_the_kind_of_a_model(folders, make_classifier, make_model) -> None:
    assert Models().task is Task.CAUSAL_LM
    assert Models(given_task=Task.CLASSIFICATION).task is Task.CLASSIFICATION
    assert Models(make_classifier("llama")).task is Task.CLASSIFICATION
    assert Models(make_model("llama")).task is Task.CAUSAL_LM
    assert Models(folders["encoder"]).task is Task.CAUSAL_LM  # nothing says otherwise; task= does
    assert Models(folders["causal"], given_task=Task.CLASSIFICATION).task is Task.CLASSIFICATION


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_the_kind_of_a_wrapped_model(make_classifier, make_model) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(TaskType.SEQ_CLS, r=2, target_modules=["query"])
    assert Models(get_peft_model(make_classifier(), config)).task is Task.CLASSIFICATION
    config = LoraConfig(r=2, target_modules=["q_proj"])
    assert Models(get_peft_model(make_model("llama"), config)).task is Task.CAUSAL_LM


@pytest.mark.parametrize(("family", "n_positions"), [("roberta", 129), ("bert", 130), ("gpt2", 130), ("llama", 130)])
def test_as_many_tokens_as_there_are_positions(family, n_positions, make_classifier, tokenizer) -> None:
    """RoBERTa with padding token 0 starts to count at 1: one token more than said would fail."""
    model = make_classifier(family)
    assert Models(model, tokenizer).n_positions == n_positions
    with torch.no_grad():
        model(input_ids=torch.full((1, n_positions), 5))
        if family in ("roberta", "bert", "gpt2"):
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=torch.full((1, n_positions + 1), 5))


def test_a_tokenizer_of_another_classifier_is_refused(make_classifier, tokenizer, folders, tmp_path) -> None:
    small = make_classifier(vocab_size=100)
    with pytest.raises(ModelError, match="The tokenizer has 300 ids and the model embeds 100"):
        _ = Models(small, tokenizer).model
    small.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="embeds 100"):
        _ = Models(str(tmp_path), folders["classifier"]).model


def test_companions_are_models_of_their_own(folders, make_model, tokenizer) -> None:
    pair = (make_model("gpt2"), tokenizer)
    models = Models(folders["classifier"], companions=Companions(pair, folders["classifier"]))
    assert models.language.model is pair[0]
    assert models.language.task is Task.CAUSAL_LM
    assert models.draft.task is Task.CLASSIFICATION
    assert models.draft.has_tokenizer
    assert type(models.draft.model).__name__ == "RobertaForSequenceClassification"
    assert models.language is models.language


@pytest.mark.parametrize("given", [None, 3, ("model",)])
def test_companions_that_cannot_be_read_are_refused(given) -> None:
    models = Models(companions=Companions(given, given))
    with pytest.raises(ConfigError, match=r"companions\.language_model=\w+ cannot be read; give a Hub id, a path"):
        _ = models.language
    with pytest.raises(ConfigError, match=r"companions\.draft_model="):
        _ = models.draft


def test_what_was_used_is_recorded_and_nothing_is_loaded_for_it(folders) -> None:
    models = Models(folders["classifier"])
    assert models.provenance() == {}
    _ = models.model, models.tokenizer_hash
    used = models.provenance()
    assert used["model"]["name_or_path"] == folders["classifier"]
    assert used["model"]["class"] == "RobertaForSequenceClassification"
    assert used["tokenizer"]["hash"] == models.tokenizer_hash
