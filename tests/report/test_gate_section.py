"""What a report says of the gates."""

from hf_select.report.gate_section import gates_section, leakage_section


def test_what_gates_dropped_and_could_not_check():
    text = "\n".join(gates_section({"duplicate": 30, "does not parse": 10}, {"parses": 1200}, 2000, "Over 2 seeds."))
    assert "## What the gates dropped" in text
    assert "Over 2 seeds." in text
    assert "| does not parse | 10 | 0.5 |" in text
    assert "1,200 rows were kept unchecked by the gate parses." in text
    assert gates_section({}, {}, 2000) == []
    assert "reason" not in "\n".join(gates_section({}, {"parses": 1}, 2000))
    assert "\n".join(gates_section({}, {}, 2000, ran="parses,static")).endswith("Nothing (parses,static).")


def arm(name, *per_seed):
    return {"name": name, "per_seed": [{"benchmarks": {"humaneval": measures}} for measures in per_seed]}


def test_leaked_problems_of_every_arm():
    dirty = {"pass_at_1": 0.5, "n_leaked_problems": 40, "n_uncontaminated": 124, "pass_at_1_uncontaminated": 0.375}
    clean = {"pass_at_1": 0.4, "n_leaked_problems": 0, "n_uncontaminated": 164, "pass_at_1_uncontaminated": 0.4}
    lines = "\n".join(leakage_section([arm("full", dirty, clean), arm("gates+full", clean)])).splitlines()
    assert lines[0] == "## Leakage"
    assert lines[-1] == "| gates+full | humaneval | 0 | 164 | 0.400 | 0.400 |"
    assert lines[-2].startswith("| full | humaneval | 20 ± 28 | 144 ± 28 | 0.450 ± 0.071 | 0.388")


def test_what_was_not_looked_for_has_no_section():
    assert leakage_section([arm("full", {"pass_at_1": 0.5})]) == []
    assert leakage_section([]) == []
