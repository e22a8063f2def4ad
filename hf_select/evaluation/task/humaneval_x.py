"""HumanEval-X in Java and C++: a function body to write, cut where its braces close, compiled and run with its tests.

Source: Zheng et al. 2023, "CodeGeeX: A Pre-Trained Model for Code Generation with Multilingual Evaluations on
HumanEval-X". Differs from the release: the completion is cut by counting braces outside comments and literals, and C++
is compiled as C++17.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hf_select.errors import ConfigError
from hf_select.evaluation.result import Sample
from hf_select.evaluation.sandbox import Verdict, choose_level
from hf_select.evaluation.task.built import Built, Options
from hf_select.evaluation.task.compiled import TOOLCHAINS, check_compiled, included_headers, missing_headers
from hf_select.evaluation.task.measurement import Graded
from hf_select.evaluation.task.record import HubSource, Layout, Record, find_layout, is_file, read_file, read_hub

_LAYOUTS = (Layout("HumanEval-X", ("task_id", "prompt", "canonical_solution", "test")),)
_PREFIXES = {"java": "Java/", "cpp": "CPP/"}
_LOADING_SCRIPTS = ("THUDM/humaneval-x", "zai-org/humaneval-x")
_CPP_PREAMBLE = (
    "".join(
        f"#include <{header}>\n"
        for header in ("algorithm", "climits", "cmath", "iostream", "string", "vector", "math.h", "stdlib.h")
    )
    + "using namespace std;\n"
)
"""Headers that the tests and many solutions use and only some prompts bring. Not ``cstring``: the tests of CPP/23 would
call its ``strlen`` in place of the program's, and every program would pass."""

_TOKEN = re.compile(
    r"""//[^\n]* | /\*.*?(?:\*/|\Z) | "(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'? | [{}]""", re.DOTALL | re.VERBOSE
)


class CompiledPassAtOne(Graded):
    """pass@1 of problems in a compiled language."""

    metric = "pass@1"
    stop = ("\n}", "\n```")

    def __init__(self, language: str, records: Sequence[Record]) -> None:
        """Keep the problems.

        Args:
            language: a key of ``TOOLCHAINS``.
            records: (M,) rows of HumanEval-X.
        """
        super().__init__([record["prompt"] for record in records])
        self.language = language
        self.records = records

    def program(self, row_id: int, completion: str) -> str:
        """The source text to compile.

        Args:
            row_id: row of the reference set.
            completion: what the model wrote.

        Returns:
            Prompt, cut completion and tests.
        """
        record = self.records[row_id]
        preamble = _CPP_PREAMBLE if self.language == "cpp" else ""
        return f"{preamble}{record['prompt']}{close(record['prompt'], completion)}\n{record['test']}\n"

    def grade(
        self, row_ids: Sequence[int], completions: Sequence[str], progress: bool, level: str | None = None
    ) -> list[Sample]:
        """Compile and run every program; one whose own problem needs a header that is not here is refused.

        Args:
            row_ids: (P,) rows of the reference set.
            completions: (P,) what the model wrote for each.
            progress: show a progress bar.
            level: how programs are contained, as in ``Sandbox``.

        Returns:
            (P,) samples.
        """
        level = choose_level(level).name
        programs = [self.program(row_id, text) for row_id, text in zip(row_ids, completions, strict=True)]
        lacking = self._lacking_headers(row_ids)
        asked = [place for place, headers in enumerate(lacking) if not headers]
        verdicts = dict(
            zip(
                asked,
                check_compiled(
                    self.language,
                    [programs[place] for place in asked],
                    level=level,
                    allow_code_eval=True,
                    progress=progress,
                ),
                strict=True,
            )
        )
        return [
            Sample.of(
                str(self.records[row_id]["task_id"]),
                completions[place],
                programs[place],
                verdicts.get(place) or _refused(lacking[place], level),
            )
            for place, row_id in enumerate(row_ids)
        ]

    def _lacking_headers(self, row_ids: Sequence[int]) -> list[list[str]]:
        """Headers that each problem itself includes and this machine does not have."""
        if self.language != "cpp":
            return [[] for _ in row_ids]
        wanted = [included_headers(self.records[row_id]["prompt"] + self.records[row_id]["test"]) for row_id in row_ids]
        missing = missing_headers(set().union(*wanted))
        return [sorted(headers & missing) for headers in wanted]


def _refused(headers: Sequence[str], level: str) -> Verdict:
    return Verdict(
        passed=False,
        status="refused",
        detail=f"no header {', '.join(headers)}",
        level=level,
        seconds=0.0,
        in_process=False,
    )


def close(prompt: str, completion: str) -> str:
    """Cut a completion where the braces that the prompt opened are closed; close those that it left open.

    Args:
        prompt: the start of the program.
        completion: what the model wrote.

    Returns:
        The completion, ending with the closing brace of the function in C++ and of the class in Java.
    """
    opened = _depth(prompt)
    depth = opened
    for match in _TOKEN.finditer(completion):
        depth += (match.group() == "{") - (match.group() == "}")
        if depth == 0:
            return completion[: match.end()]
    # What was stopped at the last brace lacks no more than the prompt opened; what breaks off inside a block, more.
    return completion + "\n}" * depth if depth <= opened else completion


def _depth(text: str) -> int:
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    return tokens.count("{") - tokens.count("}")


def read_humaneval_x(language: str, source: str | Path | None, split: str | None) -> list[Record]:
    """The rows of HumanEval-X in one language.

    Args:
        language: a key of ``TOOLCHAINS``.
        source: a file or a name of the Hub; ``None`` for the official dataset of the Hub.
        split: a split of the Hub, ``"test"`` by default.

    Returns:
        The rows.

    Raises:
        ConfigError: if they are in another language.
    """
    name = f"humaneval_{language}"
    source = _LOADING_SCRIPTS[0] if source is None else source
    if is_file(source):
        records = read_file(source)
    elif str(source) in _LOADING_SCRIPTS:  # ``datasets`` runs no loading scripts any more; the file beside it is plain
        file = f"hf://datasets/{source}/data/{language}/data/humaneval.jsonl"
        records = read_hub(HubSource("json", split="train", data_files=file))
    else:
        records = read_hub(HubSource(str(source), language, split or "test"))
    find_layout(records, _LAYOUTS, name, source)
    prefix = _PREFIXES[language]
    wrong = [str(record["task_id"]) for record in records if not str(record["task_id"]).startswith(prefix)]
    if wrong:
        raise ConfigError(
            f"The task {name!r} needs rows whose task_id begins with {prefix!r}, and {source} has {wrong[0]!r}. Give "
            f"the file of that language."
        )
    return records


def build_humaneval_x(language: str, records: Sequence[Record], options: Options) -> Built:
    """Make a task of drawn rows.

    Args:
        language: a key of ``TOOLCHAINS``.
        records: (M,) rows.
        options: not used by this task.

    Returns:
        The reference set, with pass@1 where the compiler is installed.
    """
    del options
    missing = TOOLCHAINS[language].missing
    return Built(
        prompts=[record["prompt"] for record in records],
        completions=[record["canonical_solution"] for record in records],
        measurement=None if missing else CompiledPassAtOne(language, records),
        unmeasured=f"pass@1 needs {' and '.join(missing)} on the PATH; install it." if missing else "",
    )
