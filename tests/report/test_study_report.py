"""The report of a study: whole, with every part missing in turn, with one seed, with names that try to break out."""

import copy
import json
import re

import pytest
from matplotlib.figure import Figure

from hf_select.report import END_OF_SUMMARY
from hf_select.report.markup import redact
from hf_select.report.study_part import ARMS, QUESTIONS
from hf_select.report.study_report import write_study_report
from tests.report.hostile import HOSTILE
from tests.report.study_case import results

PLOTS = {
    "between_checkpoints", "between_tasks", "by_language", "extremes", "halves", "loss_and_metric", "other_scores",
    "padding_fraction", "pass_at_1", "predictor", "score_drift", "share_replaced", "timeline", "training_seconds",
    "validation_loss",
}  # fmt: skip
OF_PART = {
    "arms": {"padding_fraction", "pass_at_1", "training_seconds", "validation_loss"},
    "training": {"loss_and_metric"},
    "halves": {"halves"},
    "between_checkpoints": {"between_checkpoints"},
    "extremes": {"extremes"},
    "between_tasks": {"between_tasks"},
    "by_language": {"by_language"},
    "other_scores": {"other_scores"},
    "predictor": {"predictor"},
    "ledgers": {"score_drift", "share_replaced", "timeline"},
    "losses": {"timeline"},
}
PARTS = [ARMS, *(part for question in QUESTIONS for part in question.parts)]


@pytest.fixture
def undrawn(monkeypatch):
    """Without matplotlib, for what is not about pictures."""
    monkeypatch.setattr("hf_select.report.study_report.find_spec", lambda _: None)


@pytest.fixture
def sketched(monkeypatch):
    """Pictures without their pixels, for what is about which are drawn and of what."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **settings: path.write_bytes(b""))


def drawn(folder):
    return {path.stem for path in (folder / "plots").glob("*.png")}


def test_the_whole_report(tmp_path):
    text = write_study_report(tmp_path, results(3)).read_text()
    summary, _, rest = text.partition(END_OF_SUMMARY)
    assert summary.startswith("# Report: discore, demo\n")
    assert summary.count("\n- ") == 4 + len(PARTS) - 2  # four pairs of arms; the plot of the training says nothing
    for question in QUESTIONS:
        assert f"\n## {question.title}\n" in rest
    assert rest.count("In the paper (Xing et al. 2026") == 6
    assert "not measured (" not in text
    assert "| ifd | no response long enough |" in rest
    pictures = re.findall(r"\]\((plots/[^)]+\.png)\)", text)
    assert {path.rpartition("/")[2].removesuffix(".png") for path in pictures} == drawn(tmp_path) == PLOTS
    for picture in pictures:
        written = json.loads((tmp_path / picture).with_suffix(".json").read_text(), parse_constant=pytest.fail)
        assert written["data"]
        assert re.search(r"[Ss]eed|n = ", written["caption"]), picture
    assert summary.count("cannot be decided with these seeds") == 1


def test_one_seed_decides_nothing_between_trainings(tmp_path, sketched):
    text = write_study_report(tmp_path, results(1)).read_text()
    assert drawn(tmp_path) == PLOTS
    assert "1 seed: too few to tell a difference" in text
    summary = text.partition(END_OF_SUMMARY)[0]
    assert summary.count("cannot be decided with these seeds") == 5  # four pairs of arms, the halves
    assert "Seed 0; loss in nats" in text


@pytest.mark.parametrize("nothing", [None, [], "absent"])
@pytest.mark.parametrize("key", sorted(set(results(1)) - {"command", "created", "recipe"}))
def test_a_missing_part_is_left_out_and_told(tmp_path, undrawn, key, nothing):
    found = results(2)
    if nothing == "absent":
        del found[key]
    else:
        found[key] = nothing
    text = write_study_report(tmp_path, found).read_text()
    part = next((part for part in PARTS if part.key == key), None)
    assert text.count("results.json has no usable") == (0 if part is None else 2 if key == "arms" else 1)
    if part is not None:
        assert f"**{part.title}**: not measured (results.json has no usable '{key}')." in text


def test_every_part_was_left_out_once():
    assert {part.key for part in PARTS} <= set(results(1))
    assert len(PARTS) == 12


@pytest.mark.parametrize("key", OF_PART)
def test_the_pictures_of_a_missing_part_are_missing(tmp_path, sketched, key):
    text = write_study_report(tmp_path, results(1, **{key: None})).read_text()
    assert drawn(tmp_path) == PLOTS - OF_PART[key]
    assert ("No timeline: the training losses of the dynamic arm were not recorded." in text) == (key == "losses")


def test_the_reason_of_what_was_left_out_stands_in_its_place(tmp_path, undrawn):
    found = results(1, predictor=None, left_out={"predictor": "no | memory"})
    text = write_study_report(tmp_path, found).read_text()
    assert "**Learned predictor**: left out: no &#124; memory" in text
    assert "| predictor | no &#124; memory |" in text


def test_nothing_at_all_is_a_report_too(tmp_path):
    text = write_study_report(tmp_path / "deep", {}).read_text()
    assert text.startswith("# Report: study\n")
    assert text.count("results.json has no usable") == len(PARTS) + 1
    assert "Nothing was compared." in text


def holes(value, path=()):
    """Every place of a JSON value that holds a number or a text, lists by their first entry."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from holes(inner, (*path, key))
    elif isinstance(value, list):
        yield path
        for place, inner in enumerate(value[:1]):
            yield from holes(inner, (*path, place))
    else:
        yield path


def test_no_single_hole_stops_the_report(tmp_path, undrawn, monkeypatch):
    whole = results(1)
    places = [path for path in holes(whole) if path]
    assert len(places) > 150
    monkeypatch.setattr("hf_select.report.study_report.write_pages", lambda _, sections: sections)
    for path in places:
        found = copy.deepcopy(whole)
        spot = found
        for key in path[:-1]:
            spot = spot[key]
        spot[path[-1]] = None
        assert END_OF_SUMMARY in write_study_report(tmp_path, found), path


def test_holes_in_what_is_drawn(tmp_path, sketched):
    found = results(2)
    found["between_checkpoints"]["spearman"][0][1] = None
    found["between_tasks"]["n_rows"] = None
    found["other_scores"][0]["points"] = None
    found["by_language"][0]["quantiles"] = None
    found["extremes"][0].update(n=None, expected=None)
    found["predictor"]["interval"] = None
    found["ledgers"][0]["selections"][1].update(replaced_fraction=None, n_rows=None, score_quantiles=[None] * 5)
    found["losses"][0]["loss"][3] = None
    found["training"][0]["checkpoints"][0]["metric"] = None
    found["halves"][0]["pass_at_1"] = None
    write_study_report(tmp_path, found)
    assert drawn(tmp_path) == PLOTS
    for path in (tmp_path / "plots").glob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)


def test_more_than_three_other_scores_take_a_second_picture(tmp_path, sketched):
    found = results(1)
    found["other_scores"] += [{**found["other_scores"][0], "name": "ifd"}]
    write_study_report(tmp_path, found)
    assert {"other_scores", "other_scores_2"} <= drawn(tmp_path)
    second = json.loads((tmp_path / "plots" / "other_scores_2.json").read_text())
    assert [score["name"] for score in second["data"]["scores"]] == ["ifd"]


def test_without_matplotlib_there_are_tables_only(tmp_path, undrawn):
    text = write_study_report(tmp_path, results(1)).read_text()
    assert "matplotlib is not installed" in text
    assert "| humaneval | 12 | -0.93 |" in text
    assert not (tmp_path / "plots").exists()


def renamed(value, old, new):
    if isinstance(value, dict):
        return {new if key == old else key: renamed(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner, old, new) for inner in value]
    return new if value == old else value


def test_a_hostile_name_stays_text(tmp_path, undrawn):
    clean = write_study_report(tmp_path, results(1)).read_text()
    assert len(HOSTILE) > 30
    for name in HOSTILE:
        found = results(1)
        for old in ("humaneval", "python", "perplexity", "demo"):
            found = renamed(found, old, name)
        text = write_study_report(tmp_path, found).read_text()
        assert len(text.split("\n")) == len(clean.split("\n")), name
        pipes = [line.count("|") for line in text.split("\n")]
        assert pipes == [line.count("|") for line in clean.split("\n")], name
        assert "<" not in text.replace(END_OF_SUMMARY, ""), name
        assert not re.search(r"(?<!\\)\]\(", text), name
        assert redact(text) == text, name


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    found = results(1)
    hostile = {"humaneval": "$\\frac{ | <b>", "python": "x" * 300, "perplexity": "a\nb", "mbpp": "日本語 🦀"}
    for old, new in hostile.items():
        found = renamed(found, old, new)
    write_study_report(tmp_path, found)
    assert drawn(tmp_path) == PLOTS


def test_what_was_left_out_and_what_leaked(tmp_path, sketched):
    found = results(2, gates={"does not parse": 30, "shares 13 words": 10}, gates_not_checked={"parses": 5})
    found["dataset"]["n_before_gates"] = 400
    measured = {"pass_at_1": 0.5, "n_leaked_problems": 4, "n_uncontaminated": 46, "pass_at_1_uncontaminated": 0.25}
    for record in found["arms"][0]["per_seed"]:
        record["benchmarks"] = {"humaneval": measured}
    text = write_study_report(tmp_path, found).read_text()
    assert "| does not parse | 30 | 7.5 |" in text
    assert "| all reasons | 40 | 10.0 |" in text
    assert "5 rows were kept unchecked by the gate parses." in text
    assert "| random | humaneval | 4 | 46 | 0.500 | 0.250 |" in text
    assert drawn(tmp_path) == PLOTS | {"gates", "leakage"}


def test_gates_that_dropped_nothing_are_told(tmp_path, undrawn):
    text = write_study_report(tmp_path, results(1, config={"gates": "parses", "no_gates": False})).read_text()
    assert "Nothing (parses)." in text
    unused = results(1, config={"gates": "parses", "no_gates": True})
    assert "What the gates dropped" not in write_study_report(tmp_path, unused).read_text()
