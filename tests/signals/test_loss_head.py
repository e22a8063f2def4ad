"""The head that predicts losses: its ranking loss, what it reads, and that it learns where the loss is large."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from hf_select.errors import ModelError, RowError
from hf_select.rows import Row
from hf_select.signals.loss_head import LossHead, ranking_loss
from hf_select.signals.loss_head_training import train_loss_head


def test_golden_ranking_loss() -> None:
    """Pairs (0, 3) and (1, 2): losses 1.1 and .2."""
    predicted, losses = torch.tensor([0.2, 1.5, 0.7, 0.1]), torch.tensor([0.5, 2.0, 1.0, 3.0])
    assert float(ranking_loss(predicted, losses)) == pytest.approx(0.65)
    assert float(ranking_loss(predicted, losses, margin=0.0)) == pytest.approx(0.05)
    with_odd = torch.cat([predicted, torch.tensor([99.0])]), torch.cat([losses, torch.tensor([-99.0])])
    assert float(ranking_loss(*with_odd)) == pytest.approx(0.65)


def test_a_pair_of_equal_losses_costs_the_margin_and_teaches_nothing() -> None:
    predicted = torch.tensor([0.3, 5.0], requires_grad=True)
    loss = ranking_loss(predicted, torch.tensor([1.0, 1.0]))
    loss.backward()
    assert float(loss.detach()) == 1.0
    assert predicted.grad.tolist() == [0, 0]


@pytest.mark.parametrize("n", [0, 1])
def test_less_than_a_pair_costs_nothing(n) -> None:
    predicted = torch.ones(n, requires_grad=True)
    loss = ranking_loss(predicted, torch.ones(n))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert predicted.grad.tolist() == [0.0] * n


def test_predictions_in_order_with_room_cost_nothing() -> None:
    losses = torch.randperm(20, generator=torch.Generator().manual_seed(0)).double() * 0.11
    assert float(ranking_loss(10 * losses, losses)) == 0.0
    assert float(ranking_loss(-10 * losses, losses)) > 1.0


def test_no_gradient_goes_into_the_losses() -> None:
    losses = torch.tensor([1.0, 2.0], requires_grad=True)
    ranking_loss(torch.tensor([1.0, 1.0], requires_grad=True), losses).backward()
    assert losses.grad is None


@pytest.mark.parametrize(("n_layers", "taps"), [(12, (3, 6, 9, 12)), (2, (1, 2)), (1, (1,)), (6, (2, 3, 5, 6))])
def test_taps_lie_at_the_quarters_of_the_depth(n_layers, taps) -> None:
    assert LossHead(8, n_layers).taps == taps


def test_padding_has_no_say() -> None:
    head = LossHead(4, 2)
    states = [torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(layer)) for layer in range(3)]
    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    pooled = head.pool(states, mask)
    assert pooled.shape == (2, 2, 4)
    torch.testing.assert_close(pooled[0, 0], states[1][0, :2].mean(0))
    torch.testing.assert_close(pooled[1, 1], states[2][1].mean(0))
    assert head(pooled).shape == (2,)


def test_weights_follow_the_seed_and_leave_the_random_state() -> None:
    before = torch.get_rng_state()
    first, again, other = LossHead(4, 2), LossHead(4, 2), LossHead(4, 2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.judge.weight, again.judge.weight)
    assert not torch.equal(first.judge.weight, other.judge.weight)


def test_states_of_another_model_are_refused() -> None:
    head, mask = LossHead(4, 4), torch.ones(1, 2)
    for states in ([torch.ones(1, 2, 5)] * 5, [torch.ones(1, 2, 4)] * 4):
        with pytest.raises(ModelError, match="reads states of width 4 up to layer 4, and the model has"):
            head.pool(states, mask)


def rows_with_noise(model, tokenizer, n: int, seed: int) -> tuple[list[Row], np.ndarray]:
    """Rows whose label is what the model says, except where "sum" stands: there it is what it holds least likely."""
    rng = np.random.default_rng(seed)
    words = ["def", "return", "if", "for", "range", "list", "add", "x", "y", "z"]
    rows, losses = [], []
    for _ in range(n):
        text = " ".join(rng.choice(words, rng.integers(4, 12)))
        is_noisy = rng.random() < 0.5
        text = f"sum {text} sum" if is_noisy else text
        with torch.no_grad():
            log_p = model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).logits[0].log_softmax(-1)
        label = int(log_p.argmin() if is_noisy else log_p.argmax())
        rows.append(Row(text, "", label))
        losses.append(-float(log_p[label]))
    return rows, np.asarray(losses)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_head_learns_where_the_loss_is_large(family, make_classifier, tokenizer) -> None:
    model = make_classifier(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    labelled, _ = rows_with_noise(model, tokenizer, 80, 0)
    head = train_loss_head(model, tokenizer, labelled, n_epochs=30)
    held_out, losses = rows_with_noise(model, tokenizer, 60, 1)
    with torch.no_grad():
        predicted = []
        for row in held_out:
            ids = torch.tensor([tokenizer(row.prompt)["input_ids"]])
            states = model(input_ids=ids, output_hidden_states=True).hidden_states
            predicted.append(float(head(head.pool(states, torch.ones_like(ids)))))
    assert spearmanr(predicted, losses).statistic > 0.5
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_training_is_a_function_of_its_arguments(make_classifier, tokenizer) -> None:
    model = make_classifier(num_labels=1)
    labelled, _ = rows_with_noise(make_classifier(num_labels=2), tokenizer, 9, 0)
    first, again, other = (
        train_loss_head(model, tokenizer, labelled, n_epochs=2, seed=seed, batch_size=4) for seed in (0, 0, 1)
    )
    untrained = LossHead.for_model(model)
    assert torch.equal(first.judge.weight, again.judge.weight)
    assert not torch.equal(first.judge.weight, other.judge.weight)
    assert not torch.equal(first.judge.weight, untrained.judge.weight)
    assert not any(parameter.requires_grad for parameter in first.parameters())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Row("x", "", 0), Row("y", "", None)], "Labelled row 1 has label None, and the classifier has classes 0 to 2"),
        ([Row("x", "", 3), Row("y", "", 0)], "Labelled row 0 has label 3"),
        ([Row("x", "", 1), Row("", "", 0)], "1 of 2 can be read; give more"),
        ([Row("", "", 1)], "none of the 1 rows has a text"),
    ],
)
def test_rows_that_teach_nothing_are_refused(rows, message, make_classifier, tokenizer) -> None:
    with pytest.raises(RowError, match=message):
        train_loss_head(make_classifier(), tokenizer, rows)
