"""``hf-select methods``: the table, one method in full, and both as JSON."""

import json
from dataclasses import fields

from hf_select.methods import METHODS
from hf_select.signals.keys import Task


def test_every_method_is_in_the_table(run):
    status, out, err = run("methods")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["key", "family", "kind", "tasks", "passes", "needs", "source"]
    assert [line.split()[0] for line in lines[1 : 1 + len(METHODS)]] == list(METHODS)
    assert lines[-1].startswith(f"{len(METHODS)} methods.")


def test_a_line_of_the_table(run):
    _, out, _ = run("methods")
    line = next(line for line in out.splitlines() if line.startswith("cdas "))
    assert line.split("  ")[0] == "cdas"
    for cell in ("mixed", "set", "causal_lm", "answer_alone, embedding, forward", "response_nll", "Lv et al. 2024"):
        assert f"  {cell}" in line or cell in line


def test_the_table_by_family_and_task(run):
    _, out, _ = run("methods", "--family", "quality", "--json")
    shown = json.loads(out)
    assert [record["key"] for record in shown] == [k for k, m in METHODS.items() if m.family.value == "quality"]
    _, out, _ = run("methods", "--task", "classification", "--json")
    keys = [record["key"] for record in json.loads(out)]
    assert keys == [key for key, method in METHODS.items() if Task.CLASSIFICATION in method.tasks]
    assert "ifd" not in keys
    assert "random" in keys


def test_one_method_in_full(run):
    status, out, _ = run("methods", "cdas")
    assert status == 0
    assert out.startswith("cdas (mixed, set, not ordered)\n\nComplexity and diversity aware sampling")
    for field in fields(METHODS["cdas"]):
        assert f"\n  {field.name} = {field.default!r}: " in out
    for section in ("Needs:", "Higher means:", "Cost:", "Source:", "Differs from the source:", "Tasks: causal_lm"):
        assert f"\n{section}" in out


def test_every_method_in_full_as_json(run):
    n_fields = 0
    for key, method in METHODS.items():
        status, out, _ = run("methods", key, "--json")
        record = json.loads(out)
        assert (status, record["key"], record["family"]) == (0, key, method.family.value)
        assert record["kind"] in ("scorer", "set")
        assert record["cost"], key
        assert record["source"], key
        assert set(record["fields"]) == {field.name for field in fields(method)}
        for name, field in record["fields"].items():
            assert field["meaning"], (key, name)
            n_fields += 1
    assert n_fields >= 18


def test_unknown_names(run):
    status, out, err = run("methods", "core_sett")
    assert (status, out) == (2, "")
    assert "Unknown method 'core_sett'. Did you mean 'core_set'" in err
    status, _, err = run("methods", "--family", "qualty")
    assert status == 2
    assert "Unknown family 'qualty'. Did you mean 'quality'?" in err


def test_a_narrow_terminal_gets_lines_that_fit(run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run("methods")
    table = out.splitlines()[: 1 + len(METHODS)]
    assert max(map(len, table)) == 80
    assert any(line.endswith("…") for line in table)
