import torch

from hf_select.evaluation.sampling import RowSampler, RowStop

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, 9.0])  # the last id is padding of the vocabulary
N_DRAWS = 4000


def draw(temperature=1.0, top_p=1.0, rows=N_DRAWS, seed=0):
    sampler = RowSampler([(seed, row) for row in range(rows)], temperature, top_p, n_tokens=4)
    return sampler(torch.zeros(rows, 1, dtype=torch.long), LOGITS.expand(rows, -1)).argmax(dim=-1)


def shares(tokens):
    return torch.bincount(tokens, minlength=5) / len(tokens)


def test_draws_follow_the_distribution():
    for temperature in (0.5, 1.0, 2.0):
        expected = (LOGITS[:4] / temperature).softmax(dim=-1)
        # four standard errors of a share of one half are 0.032
        assert (shares(draw(temperature))[:4] - expected).abs().max() < 0.032


def test_padding_of_the_vocabulary_is_never_drawn():
    assert shares(draw(2.0))[4] == 0
    assert draw(0.0, rows=3).tolist() == [0, 0, 0]


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    # probabilities .644 .237 .087 .032
    assert shares(draw(top_p=0.6)).nonzero().flatten().tolist() == [0]
    assert shares(draw(top_p=0.65)).nonzero().flatten().tolist() == [0, 1]
    found = shares(draw(top_p=0.9))
    assert found.nonzero().flatten().tolist() == [0, 1, 2]
    assert abs(found[0] - 0.644 / 0.968) < 0.032


def test_a_row_draws_the_same_whatever_stands_beside_it():
    alone = [RowSampler([(0, row)], 1.0, 1.0, 4) for row in range(6)]
    together = RowSampler([(0, row) for row in range(6)], 1.0, 1.0, 4)
    ids = torch.zeros(6, 1, dtype=torch.long)
    for _ in range(5):
        both = together(ids, LOGITS.expand(6, -1)).argmax(dim=-1)
        single = torch.cat([one(ids[:1], LOGITS.expand(1, -1)).argmax(dim=-1) for one in alone])
        assert both.tolist() == single.tolist()
    assert draw(seed=0).tolist() != draw(seed=1).tolist()


def test_the_global_random_state_is_untouched():
    before = torch.random.get_rng_state()
    draw()
    assert torch.equal(torch.random.get_rng_state(), before)


class Letters:
    """Token i is the i-th letter."""

    def batch_decode(self, rows, skip_special_tokens):
        return ["".join("abcdefgh\n"[token] for token in row) for row in rows.tolist()]


def test_a_row_stops_at_a_string_in_its_new_text_or_at_its_limit():
    stopping = RowStop(Letters(), n_prompt_tokens=2, max_new=[9, 9, 2], stop=["bc"])
    ids = torch.tensor([[1, 2, 0], [0, 0, 1], [0, 0, 0]])
    assert stopping(ids, None).tolist() == [False, False, False]  # the prompt of the first row does not count
    ids = torch.cat([ids, torch.tensor([[1], [2], [0]])], dim=1)
    assert stopping(ids, None).tolist() == [False, True, True]
    ids = torch.cat([ids, torch.tensor([[2], [0], [0]])], dim=1)
    assert stopping(ids, None).tolist() == [True, True, True]
