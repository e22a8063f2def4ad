"""Run by test_selection_killed.py: a training killed in each of many ways, resumed, and compared with a whole one.

python tests/callbacks/killed_training.py FOLDER reselect.scored:1 ... >results.json

Everything is imported once; every training is a process forked from here.
"""

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

from transformers import Trainer, TrainerState

from benchmarks.soak.training import Settings, equal, forked, outcome, train
from hf_select.crash_point import CRASH_POINTS, VARIABLE
from hf_select.training.resume import damage_of

SETTINGS = Settings(method="loss", steps=12, every=3, save_steps=2, n_rows=28)  # selected anew at 1, 4, 7, 10
AT_SAVE = [f"{stage}:{step}" for stage in ("weights", "optimizer", "random", "half", "state") for step in (2, 8)]
AT_SAVE.append(f"state:{SETTINGS.steps}")  # the last step, in the middle of an epoch of 7


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def trainer_killed_at(stage: str, step: int) -> type[Trainer]:
    """A ``Trainer`` that dies while it saves the checkpoint of a step, when it has written so much of it."""

    class KilledState(TrainerState):
        def save_to_json(self, path):
            super().save_to_json(path)
            if self.global_step == step and stage == "half":
                content = Path(path).read_bytes()
                Path(path).write_bytes(content[: len(content) // 2])
            if self.global_step == step and stage in ("half", "state"):
                die()

    class KilledTrainer(Trainer):
        def _save_optimizer_and_scheduler(self, output_dir):
            if self.state.global_step == step and stage == "weights":
                die()
            super()._save_optimizer_and_scheduler(output_dir)
            if self.state.global_step == step and stage == "optimizer":
                die()

        def _save_rng_state(self, output_dir):
            super()._save_rng_state(output_dir)
            if self.state.global_step == step and stage == "random":
                die()
            self.state.__class__ = KilledState

    return KilledTrainer


def status_of(folder: Path, trainer_class: type[Trainer] = Trainer) -> int:
    _, status = os.waitpid(forked(partial(train, folder, SETTINGS, trainer_class), folder), 0)
    return os.waitstatus_to_exitcode(status)


def killed_and_resumed(folder: Path, kill: str, whole: dict) -> dict:
    name, _, n = kill.partition(":")
    if name in CRASH_POINTS:
        os.environ[VARIABLE] = kill
        killed = status_of(folder)
        del os.environ[VARIABLE]
    else:
        killed = status_of(folder, trainer_killed_at(name, int(n)))
    damage = {path.name: damage_of(path) for path in sorted(folder.glob("checkpoint-*"))}
    resumed = status_of(folder)
    said = (folder / "said.txt").read_text()
    if resumed:
        return {"killed": killed, "damage": damage, "resumed": resumed, "said": said[-2000:]}
    return {"killed": killed, "damage": damage, "resumed": resumed, "equal": equal(outcome(folder), whole)}


def main(folder: Path, crash_points: list[str]) -> None:
    assert status_of(folder / "whole") == 0, (folder / "whole" / "said.txt").read_text()
    whole = outcome(folder / "whole")
    kills = {kill: killed_and_resumed(folder / kill, kill, whole) for kill in [*crash_points, *AT_SAVE]}
    print(json.dumps({"whole": whole, "kills": kills}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
