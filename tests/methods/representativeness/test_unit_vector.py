import numpy as np

from hf_select.methods.representativeness.unit_vector import unit


def test_directions_stay_and_zero_stays_zero():
    vectors = np.array([[3, 4], [0, 0], [-2, 0]], dtype=np.float32)
    found = unit(vectors)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [-1, 0]])


def test_short_vectors_of_half_precision_keep_their_length():
    np.testing.assert_allclose(np.linalg.norm(unit(np.full((2, 8), 6e-8, dtype=np.float16)), axis=1), 1.0)
