import random
import zlib
from fractions import Fraction

import pytest

from hf_select.methods.representativeness.zlib_stream import Size, ZlibStream

WORDS = ["def", "return", "if", "for", "x", "y", "self", ":", "\n", "    ", "import", "print", "(", ")", "é"]


def code(rng, n_words):
    return " ".join(rng.choice(WORDS) for _ in range(n_words)).encode()


def whole(texts):
    return len(zlib.compress(b"\n".join(texts), 9))


@pytest.mark.parametrize("longest", [5, 400, 12_000])
def test_a_text_at_the_end_takes_the_bytes_of_compressing_everything_at_once(longest):
    rng = random.Random(longest)
    for _ in range(12):
        texts = [code(rng, rng.randrange(0, longest)) for _ in range(rng.randrange(0, 6))]
        last = code(rng, rng.randrange(1, 400))
        stream = ZlibStream()
        for text in texts:
            stream.add(text)
        expected = Size(len(b"\n".join([*texts, last])), whole([*texts, last]))
        assert stream.size_with(last) == expected
        assert stream.size_with(last) == expected  # asking adds nothing


def test_incompressible_texts_go_through_as_well():
    noise = random.Random(0).randbytes(50_000)
    stream = ZlibStream()
    stream.add(noise)
    assert stream.size_with(noise[:1000]) == Size(51_001, whole([noise, noise[:1000]]))


@pytest.mark.skipif(zlib.ZLIB_RUNTIME_VERSION != "1.2.13", reason="bytes of zlib 1.2.13")
def test_golden_ratios():
    assert ZlibStream().size_with(b"abc" * 100).ratio == 20.0
    assert ZlibStream().size_with(b"abc" * 200).ratio == pytest.approx(35.294, abs=1e-3)


def test_noise_does_not_shrink_and_repetition_does():
    assert (
        ZlibStream().size_with(random.Random(0).randbytes(300)).ratio
        < 1
        < 10
        < ZlibStream().size_with(b"abc" * 100).ratio
    )


def test_the_frame_is_what_an_empty_text_takes():
    assert ZlibStream().size_with(b"") == Size(0, 8)
    assert ZlibStream().size_with(b"").without_frame() == Size(0, 0)
    assert ZlibStream().size_with(b"x").without_frame().compressed == 1


def test_the_exact_ratio_orders_as_fractions_do():
    rng = random.Random(1)
    sizes = [Size(rng.randrange(1, 40), rng.randrange(1, 40)) for _ in range(300)]
    sizes += [Size(2**31 + rng.randrange(3), 2**31 + rng.randrange(3)) for _ in range(50)]
    by_fraction = sorted(range(350), key=lambda i: Fraction(*sizes[i]))
    assert sorted(range(350), key=lambda i: sizes[i].exact_ratio) == by_fraction
