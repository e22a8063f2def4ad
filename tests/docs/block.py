"""The blocks of a page: code that a reader may copy, and whether it can run where there is no network and no GPU."""

import re
import shlex
from dataclasses import dataclass

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>[\w-]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_KINDS = {"python": "python", "sh": "sh", "bash": "sh"}


@dataclass(frozen=True)
class Block:
    """One block: its language (empty: no code), its text, and why it is not run (empty: it is)."""

    language: str
    text: str
    reason: str

    @property
    def commands(self) -> list[list[str]]:
        """The command lines of a shell block as words."""
        lines = self.text.replace("\\\n", " ").splitlines()
        split = [shlex.split(line, comments=True) for line in lines]
        return [words for words in split if words]

    @property
    def needs_a_shell(self) -> bool:
        """Whether its lines are more than a program with its words: redirected, piped, or several programs."""
        return any(word in ("|", ">") or word.startswith("<(") for words in self.commands for word in words)


def blocks(page: str) -> list[Block]:
    """The blocks of a page in Markdown, in order."""
    found = [match.groupdict() for match in _BLOCK.finditer(page)]
    return [Block(_KINDS.get(each["language"], ""), each["text"], (each["reason"] or "").strip()) for each in found]
