"""Members of an ensemble: what each of them is, and that the model is afterwards what it was."""

import pytest
import torch

from hf_select.errors import ModelError
from hf_select.rows import RowFormat
from hf_select.signals.dropout import SharedMasks
from hf_select.signals.member import ActiveAdapter, adapters_of, check_difference, member_of
from hf_select.signals.models import Companions, Models
from hf_select.signals.source import Options, Source

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),  # peft reads the old name
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),  # of a second adapter
]


def adapted(model, *, by_peft: bool):
    """A model with two adapters, of PEFT or of transformers itself; the first is on."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    if by_peft:
        model = get_peft_model(model, config, adapter_name="one")
    else:
        model.add_adapter(config, adapter_name="one")
    model.add_adapter(*(("two", config) if by_peft else (config, "two")))
    model.set_adapter("one")
    return model.eval()


@pytest.mark.parametrize("by_peft", [True, False])
def test_an_adapter_is_on_inside_alone(by_peft, make_model) -> None:
    model = adapted(make_model("llama"), by_peft=by_peft)
    ids = torch.tensor([[5, 6, 7]])

    def logits():
        with torch.no_grad():
            return model(input_ids=ids).logits

    trainable = [parameter.requires_grad for parameter in model.parameters()]
    one = logits()
    state = ActiveAdapter(model, "two")
    for _ in range(2):
        with state:
            two = logits()
        assert torch.equal(logits(), one)
    assert float((one - two).abs().max()) > 1e-3
    assert [parameter.requires_grad for parameter in model.parameters()] == trainable
    model.set_adapter("two")
    assert torch.equal(logits(), two)


def test_an_adapter_goes_off_also_after_an_error(make_model) -> None:
    model = adapted(make_model("llama"), by_peft=True)
    with pytest.raises(KeyboardInterrupt), ActiveAdapter(model, "two"):
        raise KeyboardInterrupt
    assert model.active_adapters == ["one"]


def test_what_a_member_is(make_model, tokenizer, tmp_path) -> None:
    other = make_model("gpt2")
    other.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    model = adapted(make_model("llama"), by_peft=True)
    companions = Companions(ensemble=("two", other, str(tmp_path / "other")))
    source = Source([], RowFormat("completion"), Models(model, tokenizer, companions=companions), Options())
    adapter, as_object, by_name = (member_of(source, sample) for sample in range(3))
    assert isinstance(adapter.state, ActiveAdapter)
    assert (adapter.models, adapter.identity) == (source.models, {"adapter": "two"})
    assert as_object.models.model is other
    assert by_name.models.model_identity["weights"] == as_object.models.model_identity["weights"]
    plain = Source([], RowFormat("completion"), Models(model, tokenizer), Options(seed=7))
    masks = member_of(plain, 3)
    assert isinstance(masks.state, SharedMasks)
    assert (masks.models, masks.identity) == (plain.models, {"seed": 7, "sample": 3})


def test_adapters_by_name(make_model) -> None:
    assert list(adapters_of(make_model("llama"))) == []
    assert list(adapters_of(adapted(make_model("llama"), by_peft=True))) == ["one", "two"]


def test_members_that_say_the_same() -> None:
    first = torch.zeros(3, 2)
    with pytest.raises(ModelError, match=r"differ by at most 9\.0e-05 in every logit of the first 3 rows or tokens"):
        check_difference(first, first + 9e-5)
    check_difference(first, first + torch.tensor([[0, 0], [0, 2e-4], [0, 0]]))
