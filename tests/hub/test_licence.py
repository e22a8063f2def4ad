"""The licence of the source stands on the card of its subset."""

import pytest

from hf_select.errors import HubError
from tests.hub.conftest import OF_THE_CLIENT
from tests.hub.test_dataset import metadata

pytestmark = OF_THE_CLIENT


def test_the_source_and_its_licence_are_carried(hub, dataset, selection):
    hub.add_repo("dataset", "org/data", card={"license": "apache-2.0"})
    push = selection.push_to_hub("me/kept", dataset, "cdas-40", source_dataset="org/data")
    assert metadata(push.card)["license"] == "apache-2.0"
    assert metadata(push.card)["source_datasets"] == ["org/data"]
    assert "4 of 10 rows of org/data, chosen by cdas." in push.card


def test_a_licence_that_cannot_be_read_is_told_or_stops_the_push(hub, dataset, selection, caplog):
    """A card without it is written only where asking again would not help."""
    hub.add_repo("dataset", "org/data", private=True)
    for source in ("org/data", "org/absent"):
        push = selection.push_to_hub("me/kept", dataset, "cdas-40", source_dataset=source)
        assert "license" not in metadata(push.card)
        assert f"The card tells no licence: the Hub shows no dataset '{source}' to this token." in caplog.text
    n_commits = hub.count("commit")
    hub.add_repo("dataset", "org/open", card={"license": "mit"})
    hub.fail_at("info", 3, status=500)
    with pytest.raises(HubError, match=r"Cannot read the licence of org/open: .* run the same push again"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", source_dataset="org/open")
    assert hub.count("commit") == n_commits
