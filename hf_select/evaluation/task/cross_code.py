"""CrossCodeEval: the next statement of a file that uses other files of its repository, by exact match.

Source: Ding et al. 2023, "CrossCodeEval: A Diverse and Multilingual Benchmark for Cross-File Code Completion". Differs
from the release: the first statement is the first logical line as Python's tokenizer sees it, where the release parses
with tree-sitter after every character; a prediction is cut to as many lines as the reference has. Its Python part only.
"""

from __future__ import annotations

import difflib
import io
import re
import tokenize
from collections.abc import Sequence
from pathlib import Path

from hf_select.errors import ConfigError
from hf_select.evaluation.result import Sample
from hf_select.evaluation.task.built import Built, Options
from hf_select.evaluation.task.measurement import Graded
from hf_select.evaluation.task.record import HubSource, Layout, Record, find_layout, is_file, read_file, read_hub

_LAYOUTS = (
    Layout("CrossCodeEval", ("prompt", "groundtruth", "metadata")),
    Layout("repository completion", ("prompt", "groundtruth", "crossfile_context", "crossfile_path")),
)
_COMMENT = re.compile(r"#.*")
_CONTEXT_SHARE = 4
"""Of a prompt with a limit, one in so many characters may go to the context of other files."""


class ExactMatch(Graded):
    """Share of completions whose first statement is the reference; comments and indentation do not count."""

    metric = "exact match"
    runs_code = False

    def __init__(self, prompts: Sequence[str], records: Sequence[Record]) -> None:
        """Keep the problems.

        Args:
            prompts: (M,) what the model continues.
            records: (M,) their rows.
        """
        super().__init__(prompts)
        self.records = records

    def grade(
        self, row_ids: Sequence[int], completions: Sequence[str], progress: bool, level: str | None = None
    ) -> list[Sample]:
        """Compare first statements.

        Args:
            row_ids: (P,) rows of the reference set.
            completions: (P,) what the model wrote for each.
            progress: not used: this takes no time.
            level: not used: nothing runs.

        Returns:
            (P,) samples; ``program`` is the statement that was compared.
        """
        del progress, level
        samples = []
        for row_id, completion in zip(row_ids, completions, strict=True):
            reference = self.records[row_id]["groundtruth"]
            # The tokenizer is given the file as it is: a prompt that was cut may begin inside a block.
            statement = first_statement(self.records[row_id]["prompt"], completion, max_lines=len(_lines(reference)))
            matches = _lines(statement) == _lines(reference)
            samples.append(
                Sample(
                    task_id=_task_id(self.records[row_id], row_id),
                    completion=completion,
                    program=statement,
                    status="passed" if matches else "failed",
                    detail="",
                    passed=matches,
                    in_process=False,
                )
            )
        return samples

    def edit_similarity(self, row_ids: Sequence[int], samples: Sequence[Sample]) -> float:
        """Mean similarity of the first statements to the references.

        Args:
            row_ids: (P,) rows of the reference set.
            samples: (P,) their samples.

        Returns:
            The mean, in 0..1.
        """
        references = [self.records[row_id]["groundtruth"] for row_id in row_ids]
        pairs = zip(samples, references, strict=True)
        return sum(similarity(sample.program, reference) for sample, reference in pairs) / len(samples)


def _lines(text: str) -> list[str]:
    """The lines that count, without comments and indentation."""
    return [line.strip() for line in _COMMENT.sub("", text).split("\n") if line.strip()]


def similarity(first: str, second: str) -> float:
    """How alike two statements are, comments aside: twice the matching characters over all characters.

    Args:
        first: a text.
        second: another.

    Returns:
        The ratio of Ratcliff and Obershelp, in 0..1.
    """
    texts = ("\n".join(_lines(first)), "\n".join(_lines(second)))
    return difflib.SequenceMatcher(None, *texts, autojunk=False).ratio()


def first_statement(prompt: str, completion: str, max_lines: int | None = None) -> str:
    """The start of a completion up to the end of the statement that the prompt has begun.

    Args:
        prompt: a Python file up to the cursor.
        completion: what the model wrote.
        max_lines: non-empty lines at most.

    Returns:
        The statement: the logical line that goes on at the cursor, brackets and strings over several lines included.
        Where the text cannot be tokenised that far, the completion up to there.
    """
    n_before = prompt.count("\n")
    lines = completion.split("\n")
    last = len(lines)
    try:
        for token in tokenize.generate_tokens(io.StringIO(prompt + completion).readline):
            inside = token.end[0] - 1 - n_before
            if token.type == tokenize.NEWLINE and inside >= 0 and "".join(lines[: inside + 1]).strip():
                last = inside + 1
                break
    except (tokenize.TokenError, SyntaxError):
        last = len(lines)
    kept = [line for line in lines[:last] if line.strip()]
    return "\n".join(kept[:max_lines])


def read_cross_code(source: str | Path | None, split: str | None) -> list[Record]:
    """The rows of CrossCodeEval.

    Args:
        source: a file or a name of the Hub.
        split: a split of the Hub, ``"test"`` by default.

    Returns:
        The rows.

    Raises:
        ConfigError: if there is no source, or its rows are of another language.
    """
    if source is None:
        raise ConfigError(
            "CrossCodeEval has no official dataset on the Hub. Unpack crosscodeeval_data.tar.xz of the repository "
            "amazon-science/cceval and give source='.../python/line_completion.jsonl' (or one of the files with "
            "retrieved context beside it)."
        )
    records = read_file(source) if is_file(source) else read_hub(HubSource(str(source), split=split or "test"))
    layout = find_layout(records, _LAYOUTS, "crosscodeeval", source)
    files = [str(record["metadata"].get("file", "")) for record in records] if layout is _LAYOUTS[0] else []
    if other := [file for file in files if file and not file.endswith(".py")]:
        raise ConfigError(f"The task 'crosscodeeval' reads Python, and {source} has rows of {other[0]!r}.")
    return records


def build_cross_code(records: Sequence[Record], options: Options) -> Built:
    """Make a task of drawn rows.

    Args:
        records: (M,) rows.
        options: ``max_prompt_chars``.

    Returns:
        The reference set, with exact match.
    """
    prompts = [_prompt(record, options.max_prompt_chars) for record in records]
    return Built(prompts, [record["groundtruth"] for record in records], ExactMatch(prompts, records))


def _task_id(record: Record, row_id: int) -> str:
    return str((record.get("metadata") or record).get("task_id", row_id))


def _prompt(record: Record, max_chars: int | None) -> str:
    """The context of other files as comments, then the file up to the cursor; both cut to whole lines."""
    context = record.get("crossfile_context") or ""
    if isinstance(context, dict):
        context = context.get("text") or ""
    elif context:
        quoted = "".join(f"# {line}\n" for line in context.splitlines())
        context = f"# From another file of this repository, {record['crossfile_path']}:\n{quoted}"
    if context and not context.endswith("\n"):
        context += "\n"
    prompt = str(record["prompt"])
    if max_chars is None:
        return context + prompt
    if len(context) > max_chars // _CONTEXT_SHARE:
        context = context[: max_chars // _CONTEXT_SHARE].rpartition("\n")[0]
        context = f"{context}\n" if context else ""
    room = max_chars - len(context)
    if len(prompt) > room:
        tail = prompt[len(prompt) - room :]
        prompt = tail.partition("\n")[2] or tail
    return context + prompt
