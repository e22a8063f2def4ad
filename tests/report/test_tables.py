"""Golden tables."""

from hf_select.report.tables import benchmarks_table, cost_table, gates_table, outcome_table, seeds_table


def lines(table: str) -> list[str]:
    return table.splitlines()


def test_outcome_table(results):
    assert lines(outcome_table(results["arms"])) == [
        "| arm | gates | rows | tokens | steps | seeds | pass@1 | 95 % interval | validation loss |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| full | no | 3,000 | 120,000 | 752 | 1 | 0.830 | 0.772 to 0.876 | 0.2867 |",
        "| random:40% | no | 1,200 | 48,000 | 304 | 1 | 0.555 | 0.486 to 0.622 | 0.4400 |",
        "| gates+random:40% | yes | 1,200 | 48,000 | 304 | 1 | 0.865 | 0.811 to 0.906 | 0.4400 |",
        "| gates+cdas:40% | yes | 1,200 | 48,000 | 304 | 1 | 0.880 | 0.828 to 0.918 | 0.4400 |",
    ]


def test_outcome_table_of_several_seeds_shows_mean_and_deviation():
    records = [{"pass_at_1": 0.8, "rows": 100, "validation_loss": 0.5}, {"pass_at_1": 0.9, "rows": 100}]
    arm = {"name": "a", "seeds": [4, 7], "per_seed": records, "validation_loss": 0.5}
    assert lines(outcome_table([arm]))[2] == "| a | no | 100 | – | – | 2 | 0.850 ± 0.071 | – | 0.5000 |"


def test_outcome_table_without_values():
    assert lines(outcome_table([{}]))[2] == "| ? | no | – | – | – | 1 | – | – | – |"
    assert len(lines(outcome_table([]))) == 2


def test_cost_table(results):
    results["arms"][1]["selection_seconds"] = None
    assert lines(cost_table(results["arms"])) == [
        "| arm | selection (s) | training (s) | sum (s) | padding (%) | peak memory (MB) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| full | 0.0 | 34.2 | 34.2 | 7.2 | 512 |",
        "| random:40% | – | 14.0 | – | 7.2 | 512 |",
        "| gates+random:40% | 0.0 | 14.0 | 14.0 | 7.2 | 512 |",
        "| gates+cdas:40% | 120 | 14.0 | 134 | 7.2 | 512 |",
    ]


def test_gates_table():
    counts = {"duplicate": 1093, "a|b": 7}
    assert lines(gates_table(counts, 3000)) == [
        "| reason | rows dropped | share (%) |",
        "| --- | ---: | ---: |",
        "| duplicate | 1,093 | 36.4 |",
        "| a&#124;b | 7 | 0.2 |",
        "| all reasons | 1,100 | 36.7 |",
    ]
    assert lines(gates_table(counts))[4] == "| all reasons | 1,100 |"


def test_seeds_table_has_a_column_for_each_seed():
    arms = [
        {"name": "a", "seeds": [0, 7], "per_seed": [{"pass_at_1": 0.5}, {"pass_at_1": None}]},
        {"name": "b", "seeds": [0], "per_seed": [{"pass_at_1": 0.25}]},
        {"name": "c"},
    ]
    assert lines(seeds_table(arms)) == [
        "| arm | seed 0 | seed 7 |",
        "| --- | ---: | ---: |",
        "| a | 0.500 | – |",
        "| b | 0.250 | – |",
    ]


def test_benchmarks_table():
    def of(rate, other=None):
        return {"benchmarks": {"humaneval": {"pass_at_1": rate}, **({"mbpp": {"pass_at_1": other}} if other else {})}}

    arms = [{"name": "a", "per_seed": [of(0.5, 0.25), of(0.7, 0.25)]}, {"name": "b", "per_seed": [of(None)]}]
    assert lines(benchmarks_table(arms)) == [
        "| arm | humaneval | mbpp |",
        "| --- | ---: | ---: |",
        "| a | 0.600 ± 0.141 | 0.250 |",
        "| b | – | – |",
    ]
