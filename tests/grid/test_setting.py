"""Which problems the rows of a cell hold: the picks, and the rows that were labelled before."""

import json

import numpy as np
import pytest

from hf_select.evaluation.benchmark import load_humaneval
from hf_select.experiment.run import Run
from hf_select.grid.data import load_data
from hf_select.grid.setting import GridSetting, make_split
from tests.grid.conftest import parse


@pytest.fixture
def prepare(tmp_path):
    """The setting of a generation task of 40 rows, every tenth with the solution of a problem."""

    def prepare(*words):
        problems = load_humaneval()[:4]
        texts = [
            problems[row // 10].solution if row % 10 == 5 else f"def f(x):\n    return x + {row}\n" for row in range(40)
        ]
        lines = [json.dumps({"prompt": f"Write {row}.", "completion": text}) for row, text in enumerate(texts)]
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(lines) + "\n")
        names = ("--dataset_name", str(path), "--task", "causal_lm", "--benchmarks", "humaneval", "--max_problems", "3")
        arguments = parse(*names, *words)
        data = load_data(arguments)
        run = Run.open(tmp_path / f"run-{len(words)}", arguments.settings(), resume=True, overwrite=False)
        return GridSetting(run, arguments, 0, data, None, make_split(arguments, data, 0)), [p.task_id for p in problems]

    return prepare


def test_the_problems_of_some_rows_of_the_pool(prepare, monkeypatch):
    setting, task_ids = prepare()
    assert [leak[:3] for leak in setting.leaks] == [[5 + 10 * n, "humaneval", task_ids[n]] for n in range(3)]
    pool = setting.split.pool.tolist()
    in_pool = [n for n in range(3) if 5 + 10 * n in pool]
    assert in_pool, "the split took all leaked rows out of the pool"
    assert setting.leaked(np.arange(len(pool))) == {"humaneval": {task_ids[n] for n in in_pool}}
    first = np.array([pool.index(5 + 10 * in_pool[0])])
    assert setting.leaked(first) == {"humaneval": {task_ids[in_pool[0]]}}
    assert setting.leaked(np.delete(np.arange(len(pool)), first))["humaneval"] == {task_ids[n] for n in in_pool[1:]}
    monkeypatch.setattr("hf_select.grid.setting.find_leaks", lambda *_: pytest.fail("looked for again"))
    assert prepare()[0].leaks == setting.leaks


def test_nothing_is_looked_for_where_it_was_not_asked_for(prepare):
    setting, _ = prepare("--no_check_leakage")
    assert (setting.leaks, setting.leaked(np.arange(5))) == ([], {})
    assert not (setting.run.folder / "stages").exists()
