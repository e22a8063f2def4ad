"""HumanEval+ and MBPP+: problems whose tests are many inputs and a reference to agree with.

The files are those of the releases of evalplus: ``base_input``, ``plus_input``, ``atol``, ``canonical_solution``. The
converted copies on the Hub carry a ``test`` field instead; ``benchmark.load_problems`` reads that form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_select.evaluation.problem import Problem

TIMEOUT, SLOW_TIMEOUT = 20.0, 180.0
"""Seconds for a program: up to a thousand inputs, each also given to the reference. Slow are the tasks whose references
take more than a few seconds (huge integers, long loops)."""

MEMORY_BYTES = 4 << 30
"""Address space for a program, as evalplus allows: some answers are long."""

_SLOW = {"HumanEval/15", "HumanEval/130", "HumanEval/139"}
_SLOW |= {f"Mbpp/{number}" for number in (255, 271, 392, 592, 599, 603)}

_TOO_LONG_TO_SEND = {"Mbpp/255"}
"""One answer of this task is 0.9 GB as text."""

_CHECK = Path(__file__).with_name("plus_check.py").read_text(encoding="utf-8")
_RULES = {"HumanEval/32": "root", "Mbpp/164": "anything", "Mbpp/295": "equal_or_zero"}
_RULES |= {"Mbpp/581": "surface", "Mbpp/558": "digit_distance"}
_RULES |= {f"Mbpp/{number}": "same_set" for number in (2, 7, 111, 140, 232, 249, 579, 769)}
_RULES_BY_NAME = dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), "found")

Convert = Callable[[Any], Any]


def _each(convert: Convert) -> Convert:
    return lambda values: [convert(value) for value in values]


def _first(convert: Convert) -> Convert:
    return lambda arguments: [convert(arguments[0]), *arguments[1:]]


def _second(convert: Convert) -> Convert:
    return lambda arguments: [arguments[0], convert(arguments[1]), *arguments[2:]]


def _tuple_of_tuples(value: Any) -> Any:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _all_tuples(value: Any) -> Any:
    return tuple(_all_tuples(item) for item in value) if isinstance(value, list) else value


def _sets(value: Any) -> Any:
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _tuple_values(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(items) for key, items in value.items()}


_ARGUMENTS: tuple[tuple[Convert, tuple[int, ...]], ...] = (
    (
        _each(tuple),
        (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
    ),
    (_each(_each(tuple)), (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)),
    (_first(_each(tuple)), (75, 413, 444, 753)),
    (_second(tuple), (106, 750)),
    (_first(tuple), (250, 307, 405, 446, 617, 720, 763, 808)),
    (_each(_tuple_of_tuples), (259, 278, 401, 445)),
    (_each(_all_tuples), (580, 615, 791)),
    (_first(_tuple_values), (722,)),
    (_first(_sets), (115,)),
    (lambda arguments: [float(arguments[0]), complex(arguments[1])], (124,)),
    (_first(complex), (252,)),
)
"""What JSON could not say: the arguments of these tasks of MBPP are tuples, sets and complex numbers."""

_CONVERT = {f"Mbpp/{number}": convert for convert, numbers in _ARGUMENTS for number in numbers}


def plus_problem(row: Mapping[str, Any]) -> Problem:
    """Read one row of HumanEval+ or MBPP+.

    Args:
        row: the row.

    Returns:
        The problem; its tests are the base inputs and then the added ones, as evalplus counts a pass.
    """
    task_id, entry_point, prompt = row["task_id"], row["entry_point"], row["prompt"]
    inputs: Sequence[Any] = [*row["base_input"], *row["plus_input"]]
    convert = _CONVERT.get(task_id)
    if convert is not None:
        inputs = [convert(arguments) for arguments in inputs]
    rule = _RULES.get(task_id) or _RULES_BY_NAME.get(entry_point, "equal")
    # The reference gets a namespace of its own: its recursive calls must not reach the program under test.
    reference = f"_namespace = {{}}\nexec({prompt + row['canonical_solution']!r}, _namespace)\n"
    numbers = "inf, nan = float('inf'), float('nan')\n"  # as ``repr`` writes them
    call = f"check_all({entry_point}, _namespace[{entry_point!r}], {inputs!r}, {row['atol']!r}, {rule!r})\n"
    return Problem(
        task_id=task_id,
        prompt=prompt,
        entry_point=entry_point,
        canonical_solution=row["canonical_solution"],
        tests=(_CHECK, reference, numbers + call),
        timeout=SLOW_TIMEOUT if task_id in _SLOW else TIMEOUT,
        max_memory_bytes=MEMORY_BYTES,
        in_process=task_id in _TOO_LONG_TO_SEND,
    )
