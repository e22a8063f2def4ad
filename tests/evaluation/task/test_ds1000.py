import pytest

from hf_select.errors import ConfigError
from hf_select.evaluation.sandbox.self_test import try_level
from hf_select.evaluation.task import load_coding_task

CONTEXT = '''
import copy
import numpy as np


def generate_test_case(test_case_id):
    array = np.arange(3 + test_case_id)
    return array, copy.deepcopy(array)[::-1]


def exec_test(result, answer):
    np.testing.assert_array_equal(result, answer)
    return 1


exec_context = r"""
import numpy as np
a = test_input
[insert]
"""


def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    for number in range(2):
        test_input, expected = generate_test_case(number + 1)
        environment = {"test_input": test_input}
        exec(code, environment)
        assert exec_test(environment["result"], expected)
'''
STRING_TEST = "\n\ndef test_string(solution: str):\n    assert 'for' not in solution\n"


def official(number, library="Numpy", context=CONTEXT):
    return {
        "prompt": f"Problem:\nReverse a. ({number})\nA:\n<code>\na = ...\n</code>\nBEGIN SOLUTION\n<code>\n",
        "reference_code": "result = a[::-1]\n",
        "metadata": {"problem_id": number, "library": library, "test_case_cnt": 2},
        "code_context": context,
    }


ROWS = [official(0), official(1), official(2, context=CONTEXT + STRING_TEST), official(3, "Nosuchlibrary")]


def test_execution_accuracy(write_rows, answers):
    task = load_coding_task("ds1000", write_rows(ROWS))
    assert (task.metric, task.language, task.unmeasured) == ("execution accuracy", "python", "")
    assert task.reference["completion"][0] == "result = a[::-1]\n"
    prompts = task.reference["prompt"][:]
    answers.update(
        {
            prompts[0]: "\nresult = np.flip(a)\n",
            prompts[1]: "result = a\n",
            prompts[2]: "result = np.array([x for x in a[::-1]])\n",
            prompts[3]: "",
        }
    )
    score = task.measure(None, None, allow_code_eval=True, sandbox_level="process", progress=False)
    assert [(sample.task_id, sample.status) for sample in score.samples] == [
        ("DS-1000/0", "passed"),
        ("DS-1000/1", "failed"),
        ("DS-1000/2", "failed"),
        ("DS-1000/3", "refused"),
    ]
    assert (score.value, score.n_problems, score.n_in_process) == (pytest.approx(1 / 3), 3, 3)
    assert (score.sandbox_level, score.summary()["sandbox"]["level"]) == ("process", "process")
    assert score.message == (
        "1 of 4 problems are left out, which cannot be asked here: the package nosuchlibrary is not installed."
    )
    assert "</code>" in answers.asked["stop"]


def test_the_references_pass_and_nothing_fails(write_rows):
    task = load_coding_task("ds1000", write_rows(ROWS[:3]))
    graded = task.measurement.grade(range(3), task.reference["completion"][:], progress=False)
    assert [sample.status for sample in graded] == ["passed"] * 3
    graded = task.measurement.grade(range(3), [""] * 3, progress=False)
    assert [sample.status for sample in graded] == ["failed"] * 3


def test_the_official_dataset_is_the_default(monkeypatch):
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda *args, **options: asked.append((args, options)) or ROWS)
    assert len(load_coding_task("ds1000").reference) == 4
    assert asked == [(("xlangai/DS-1000", None), {"split": "test"})]


def test_other_layouts_give_the_loss_only(write_rows):
    rows = [{"task_id": "x", "prompt": "p", "canonical_solution": "s", "code_context": "[insert]"}]
    task = load_coding_task("ds1000", write_rows(rows))
    assert task.metric is None
    assert "needs the official layout, whose code_context defines test_execution" in task.unmeasured
    assert load_coding_task("ds1000", write_rows([official(0, context="[insert]")])).metric is None
    with pytest.raises(ConfigError, match="'ds1000' has no metric here"):
        task.measure(None, None, allow_code_eval=True)


@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "ending"), [("completion", "# SOLUTION START\n"), ("insertion", "# SOLUTION START\n")]
)
def test_the_real_rows(shared_data, kind, ending):
    task = load_coding_task("ds1000", shared_data / "ds1000" / f"ds1000_{kind}.jsonl.gz", max_problems=None)
    assert len(task.reference) == 1000
    assert task.metric is None
    assert all(text.strip() for text in task.reference["completion"])
    assert task.reference[1]["prompt"].endswith(ending)


LIBRARY_CONTEXT = """
def test_execution(solution: str):
    environment = {{}}
    exec({setup!r} + solution, environment)
    assert {check}, environment["result"]
"""
LIBRARIES = {
    "Numpy": ("import numpy as np\n", "result = np.linalg.inv(np.eye(3)).sum()", "environment['result'] == 3"),
    "Pandas": (
        "import pandas as pd\n",
        "result = pd.DataFrame({'a': [1, 1, 2]}).groupby('a').size().tolist()",
        "environment['result'] == [2, 1]",
    ),
    "Scipy": (
        "from scipy import optimize\n",
        "result = optimize.brentq(lambda x: x - 1, 0, 3)",
        "abs(environment['result'] - 1) < 1e-9",
    ),
    "Sklearn": (
        "from sklearn.linear_model import LogisticRegression\n",
        "result = LogisticRegression().fit([[0], [1], [2], [3]], [0, 0, 1, 1]).predict([[3]]).tolist()",
        "environment['result'] == [1]",
    ),
    "Matplotlib": (
        "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nfrom PIL import Image\n",
        "plt.plot([1, 2])\nplt.savefig('output.png')\nresult = Image.open('output.png').size",
        "environment['result'] == (640, 480)",
    ),
    "Pytorch": ("import torch\n", "result = torch.arange(3).sum().item()", "environment['result'] == 3"),
}


@pytest.mark.slow
@pytest.mark.parametrize("level", ["process", "landlock+seccomp", "full"])
def test_every_library_works_at_every_level(write_rows, level):
    if not try_level(level).holds:
        pytest.skip(try_level(level).reason)
    rows = [
        official(number, library, LIBRARY_CONTEXT.format(setup=setup, check=check))
        for number, (library, (setup, _, check)) in enumerate(LIBRARIES.items())
    ]
    task = load_coding_task("ds1000", write_rows(rows))
    answers = [answer for _, answer, _ in LIBRARIES.values()]
    solved = task.measurement.grade(range(len(rows)), answers, progress=False, level=level)
    assert len(solved) == 6
    found = {library: (sample.status, sample.detail) for library, sample in zip(LIBRARIES, solved, strict=True)}
    assert {library: one for library, one in found.items() if one[0] not in ("passed", "refused")} == {}
    assert found["Numpy"][0] == found["Scipy"][0] == "passed"
    wrong = task.measurement.grade([0], ["result = 4"], progress=False, level=level)
    assert wrong[0].status == "failed"
