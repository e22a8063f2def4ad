"""The stream while the rows in use change: the own order, filtered, repeated, and the same when it is replayed."""

import numpy as np
import pytest
import torch
from torch.utils.data import RandomSampler, SequentialSampler

from hf_select.errors import RowError
from hf_select.training.live_sampler import Event, LiveSampler


def mask(*rows: int, n_rows: int = 6) -> np.ndarray:
    found = np.zeros(n_rows, dtype=bool)
    found[list(rows)] = True
    return found


class Fixed(SequentialSampler):
    """An order known beforehand, another one in every epoch."""

    def __init__(self, *orders):
        super().__init__(orders[0])
        self.orders, self.epoch = orders, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        return iter(self.orders[self.epoch])


def test_the_drawing_of_the_module():
    sampler = LiveSampler(Fixed([4, 0, 3, 1, 2, 5]))
    drawn = []
    for row in sampler:
        drawn.append(row)
        if len(drawn) == 3:
            sampler.change(mask(0, 2, 5))
    assert drawn == [4, 0, 3, 2, 5, 0]
    assert [(event.epoch, event.position) for event in sampler.events] == [(0, 3)]


def test_without_a_change_or_with_all_rows_it_is_the_own_order():
    own = RandomSampler(range(50), generator=torch.Generator().manual_seed(1))
    expected = [list(own), list(own)]
    for in_use in (None, np.ones(50, dtype=bool)):
        sampler = LiveSampler(RandomSampler(range(50), generator=torch.Generator().manual_seed(1)))
        if in_use is not None:
            sampler.change(in_use)
        assert [list(sampler), list(sampler)] == expected


def test_the_global_random_state_is_used_as_by_the_own_sampler():
    torch.manual_seed(3)
    expected = list(RandomSampler(range(20)))
    after = torch.get_rng_state()
    torch.manual_seed(3)
    assert list(LiveSampler(RandomSampler(range(20)))) == expected
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_with_the_events_is_the_same_stream(seed):
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(17).tolist() for _ in range(3)]
    sampler = LiveSampler(Fixed(*orders))
    streams = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        drawn = []
        for row in sampler:
            drawn.append(row)
            if rng.random() < 0.2:
                in_use = rng.random(17) < 0.4
                in_use[rng.integers(17)] = True
                sampler.change(in_use, sampler.position + int(rng.integers(3)))
        streams.append(drawn)
        assert len(drawn) == 17
    assert len(sampler.events) > 2
    again = LiveSampler(Fixed(*orders))
    again.events = [Event(event.epoch, event.position, event.in_use.copy()) for event in sampler.events]
    for epoch, expected in enumerate(streams):
        again.set_epoch(epoch)
        assert list(again) == expected


def test_only_rows_in_use_are_drawn_and_evenly():
    sampler = LiveSampler(Fixed(list(range(12))))
    sampler.change(mask(1, 4, 7, n_rows=12))
    assert list(sampler) == [1, 4, 7] * 4


def test_an_event_of_an_earlier_epoch_holds_from_the_start():
    sampler = LiveSampler(Fixed([0, 1, 2, 3], [3, 2, 1, 0]))
    for n_drawn, _ in enumerate(sampler, 1):
        if n_drawn == 2:
            sampler.change(mask(0, 3, n_rows=4))
    sampler.set_epoch(1)
    assert list(sampler) == [3, 0, 3, 0]


def test_a_change_to_no_row_is_refused():
    with pytest.raises(RowError, match="No row would be in use"):
        LiveSampler(Fixed([0, 1])).change(mask(n_rows=2))
    sampler = LiveSampler(Fixed([0, 1]))
    sampler.change(mask(2, n_rows=3))
    with pytest.raises(RowError, match="None of the rows in use is drawn"):
        list(sampler)
