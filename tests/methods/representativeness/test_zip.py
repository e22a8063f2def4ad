import random
import zlib
from fractions import Fraction

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.representativeness.zip import ZIP
from hf_select.signals.keys import ROW_TEXT
from hf_select.signals.table import Signals


def pool(n_rows, seed, longest=300, letters="abcdefghij \n(){}=+"):
    rng = random.Random(seed)
    return ["".join(rng.choice(letters) for _ in range(rng.randrange(5, longest))) for _ in range(n_rows)]


def pick(texts, k, **fields):
    return ZIP(**fields).pick(Signals({ROW_TEXT: np.asarray(texts, dtype=object)}), k, np.random.default_rng(0))


def plain(texts, k, k1, k2, k3, frame):
    """The three stages with everything compressed anew each time, ratios as fractions."""

    def ratio(rows):
        joined = "\n".join(texts[row] for row in rows).encode()
        return Fraction(len(joined), len(zlib.compress(joined, 9)) - frame)

    known = {row: ratio([row]) for row in range(len(texts))}
    picked, scores = [], []
    while len(picked) < k:
        looked_at = sorted(known, key=lambda row: (known[row], row))[:k1]
        known.update({row: ratio([*picked, row]) for row in looked_at})
        n_last = min(k2, max(1, len(known) // 5))
        last = sorted(looked_at, key=lambda row: (known[row], row))[:n_last]
        chosen = []
        for _ in range(min(max(1, n_last * k3 // k2), len(last), k - len(picked))):
            best = min(set(last) - set(chosen), key=lambda row: (ratio([*chosen, row]), row))
            scores.append(-float(ratio([*chosen, best])))
            chosen.append(best)
            del known[best]
        picked += chosen
    return picked, scores


@pytest.mark.parametrize(("reference", "frame"), [(None, 8), ("published", 0)])
@pytest.mark.parametrize(("k1", "k2", "k3"), [(10_000, 200, 100), (10, 4, 2), (6, 6, 3), (5, 1, 1), (3, 5, 4)])
def test_picks_like_compressing_everything_anew(reference, frame, k1, k2, k3):
    for seed in range(3):
        texts = pool(30, seed)
        for k in (1, 7, 30):
            indices, scores = pick(texts, k, k1=k1, k2=k2, k3=k3, reference=reference)
            expected, ratios = plain(texts, k, k1, k2, k3, frame)
            assert indices.tolist() == expected
            np.testing.assert_allclose(scores, ratios)


def test_no_row_comes_twice_and_the_budget_is_met():
    for seed in range(20):
        texts = pool(14, seed, longest=400)
        indices = pick(texts, 9, k1=10, k2=4, k3=2).indices
        assert len(indices) == len(set(indices.tolist())) == 9


def test_the_order_of_the_pool_makes_no_difference():
    texts = pool(60, 5, longest=2000)  # long enough for ratios that differ
    order = np.random.default_rng(1).permutation(60)
    assert (
        order[pick([texts[row] for row in order], 10, k3=3).indices].tolist() == pick(texts, 10, k3=3).indices.tolist()
    )


def test_a_repeated_text_never_beats_noise():
    rng = random.Random(0)
    noise = ["".join(chr(rng.randrange(33, 127)) for _ in range(400)) for _ in range(6)]
    texts = [noise[0], noise[0], noise[1], noise[1], *noise[2:]]
    for fields in ({}, {"k2": 2, "k3": 2}, {"reference": "published"}):
        assert set(pick(texts, 6, **fields).indices.tolist()) == {0, 2, 4, 5, 6, 7}


def test_short_rows_are_favoured_by_the_published_ratio_alone():
    code = (
        "for a, b in zip(left, right):\n    total += weight[a] * value[b]\nfor c in range(total):\n    print(left[c])"
    )
    assert pick(["a" * 12, code], 1, reference="published").indices.tolist() == [0]
    assert pick(["a" * 12, code], 1).indices.tolist() == [1]


def test_rows_without_text_are_not_eligible():
    signals = Signals({ROW_TEXT: np.asarray(["", "a", "\t\n", "b"], dtype=object)})
    assert {reason: mask.tolist() for reason, mask in ZIP().exclusions(signals).items()} == {
        "no text": [True, False, True, False]
    }
    with pytest.warns(UserWarning, match="only 2 are eligible"):
        assert ZIP().pick(signals, 4, np.random.default_rng(0)).indices.tolist() == [1, 3]


def test_text_that_is_no_unicode_is_compressed_all_the_same():
    assert sorted(pick(["a\ud800b", "c"], 2).indices.tolist()) == [0, 1]


@pytest.mark.parametrize("field", ["k1", "k2", "k3"])
def test_wrong_fields_are_refused(field):
    with pytest.raises(ConfigError, match=f"{field}=0 is not a whole number"):
        ZIP(**{field: 0})
    with pytest.raises(ConfigError, match="k3=5 picks cannot come from k2=4 rows"):
        ZIP(k2=4, k3=5)
