"""Time the compression ratio of candidates after a selected text against compressing both anew each time.

    python -m benchmarks.zip.zip_speed

The texts are functions of the Python packages that are installed beside the interpreter, cut at 2,000 bytes.
"""

import argparse
import json
import os
import shlex
import sys
import zlib
from itertools import islice
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

import numpy as np

from benchmarks.diversity.corpus import functions
from benchmarks.diversity.record import cpu_seconds, goal
from hf_select.methods.representativeness.zip import ZIP
from hf_select.methods.representativeness.zlib_stream import ZlibStream
from hf_select.signals.keys import ROW_TEXT
from hf_select.signals.table import Signals

MAX_BYTES = 2000


def anew(selected, candidates):
    """Bytes of the selected text followed by each candidate, everything compressed each time."""
    return [len(zlib.compress(selected + b"\n" + candidate, 9)) for candidate in candidates]


def primed(selected, candidates):
    """The same from one stream, the time to fill it included."""
    stream = ZlibStream()
    stream.add(selected)
    return [stream.size_with(candidate).compressed for candidate in candidates]


def measure(selected, candidates, n_turns):
    """One length of the selected text."""
    plain, expected = cpu_seconds(lambda: anew(selected, candidates))
    turns = [cpu_seconds(lambda: primed(selected, candidates)) for _ in range(n_turns)]
    seconds = min(turn for turn, _ in turns)
    filling = min(cpu_seconds(lambda: primed(selected, []))[0] for _ in range(n_turns))
    return {
        "kilobytes_selected": len(selected) // 1000,
        "candidates": len(candidates),
        "anew": round(plain, 3),
        "ours": round(seconds, 4),
        "times_faster": round(plain / seconds, 1),
        "ours_microseconds_per_candidate": round((seconds - filling) / len(candidates) * 1e6),
        "different_sizes": sum(found != size for found, size in zip(turns[-1][1], expected, strict=True)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--kilobytes", type=int, nargs="*", default=[20, 200], help="selected (default: %(default)s)")
    parser.add_argument("--n_turns", type=int, default=3, help="turns of which the best counts (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=5000, help="pool of a whole selection (default: %(default)s)")
    parser.add_argument("--picks", type=int, default=500, help="picks of a whole selection (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    texts = [text.encode()[:MAX_BYTES] for text in islice(functions(), args.rows)]
    texts = [texts[place] for place in np.random.default_rng(0).permutation(len(texts))]
    candidates, rest = texts[: args.candidates], b"\n".join(texts[args.candidates :])
    runs = [measure(rest[: 1000 * size], candidates, args.n_turns) for size in args.kilobytes]
    pool = Signals({ROW_TEXT: np.asarray([text.decode("utf-8", "ignore") for text in texts], dtype=object)})
    seconds, picks = cpu_seconds(lambda: ZIP().pick(pool, args.picks, np.random.default_rng(0)))
    per_candidate = [run["ours_microseconds_per_candidate"] for run in runs]
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.zip.zip_speed", *sys.argv[1:]]),
        "unit": f"CPU seconds (process_time), one thread; ours the best of {args.n_turns} turns",
        "versions": {"zlib": zlib.ZLIB_RUNTIME_VERSION},
        "settings": {name: value for name, value in vars(args).items() if name != "output"},
        "measured": {"ratios": runs, "whole_selection": {"picks": len(picks.indices), "seconds": round(seconds, 2)}},
        "goals": [
            goal(f"times faster after {runs[-1]['kilobytes_selected']} kB", 30, runs[-1]["times_faster"]),
            goal("sizes that differ", 0, sum(run["different_sizes"] for run in runs), at_least=False),
            goal("cost of a candidate after the longest text by that after the shortest", 1.5,
                 per_candidate[-1] / per_candidate[0], at_least=False),
        ],
    }  # fmt: skip
    text = json.dumps(result, indent=2)
    args.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
