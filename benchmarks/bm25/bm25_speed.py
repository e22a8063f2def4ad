"""Time the mean BM25 score over many queries against rank_bm25 and bm25s, and compare the scores.

    pip install rank_bm25 bm25s
    python -m benchmarks.bm25.bm25_speed

Both are installed for this benchmark alone. rank_bm25 would run for minutes: it answers ``--peer_queries`` queries, and
their time is multiplied up by the number of terms (every term of a query costs it the same).
"""

import argparse
import json
import os
import shlex
import sys
from importlib.metadata import version
from itertools import islice
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

import bm25s
import numpy as np
from rank_bm25 import BM25Okapi

from benchmarks.diversity.corpus import functions
from benchmarks.diversity.record import cpu_seconds, goal
from hf_select.methods.representativeness.bm25 import mean_scores, query_weights
from hf_select.methods.representativeness.term import CODE, count_terms

K1, B = 1.5, 0.75


def ours(rows, queries, variant, count=count_terms):
    """Mean score of every row, from the rows to the scores; ``count`` says whether they are split already."""
    weights = query_weights([queries])
    documents = count(rows, weights if variant == "lucene" else None)
    return mean_scores(documents, weights, k1=K1, b=B, variant=variant)


def with_bm25s(rows, queries, dtype="float32"):
    """The same with an index of bm25s that is asked query by query."""
    index = bm25s.BM25(method="lucene", k1=K1, b=B, dtype=dtype)
    index.index(rows, show_progress=False)
    return np.mean([index.get_scores([t for t in query if t in index.vocab_dict]) for query in queries], axis=0)


def best(n_turns, work):
    """Fewest CPU seconds of some turns, and the result."""
    turns = [cpu_seconds(work) for _ in range(n_turns)]
    return min(seconds for seconds, _ in turns), turns[-1][1]


def furthest(found, expected):
    """Largest difference in units of the largest score."""
    return float(f"{np.abs(found - expected).max() / np.abs(expected).max():.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="functions that are scored (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=200, help="functions they are scored for (default: %(default)s)")
    parser.add_argument("--peer_queries", type=int, default=6, help="queries rank_bm25 answers (default: %(default)s)")
    parser.add_argument("--n_turns", type=int, default=5, help="turns of which the best counts (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    texts = list(islice(functions(), args.rows + args.queries))
    spread = np.random.default_rng(0).permutation(len(texts))
    texts = [texts[place] for place in spread]
    rows, queries = texts[: args.rows], [CODE.split(text) for text in texts[args.rows :]]
    splitting, terms = best(1, lambda: [CODE.split(text) for text in rows])
    few = queries[: args.peer_queries]
    scale = sum(map(len, queries)) / sum(map(len, few))

    indexing, index = cpu_seconds(lambda: BM25Okapi(terms, k1=K1, b=B))
    answering, answers = cpu_seconds(lambda: np.mean([index.get_scores(query) for query in few], axis=0))
    rank_bm25 = indexing + answering * scale
    okapi, _ = best(args.n_turns, lambda: ours(terms, queries, "okapi"))
    lucene, lucene_scores = best(args.n_turns, lambda: ours(terms, queries, "lucene"))
    bm25s_lucene, _ = best(args.n_turns, lambda: with_bm25s(terms, queries))
    whole, whole_scores = best(args.n_turns, lambda: ours(rows, queries, "okapi", CODE.count))

    gaps = {
        "rank_bm25": furthest(ours(terms, few, "okapi"), answers),
        "bm25s, float64": furthest(lucene_scores, with_bm25s(terms, queries, "float64")),
        "split by word": furthest(whole_scores, ours(terms, queries, "okapi")),
    }
    goals = [
        goal("times faster than rank_bm25, rows split already", 400, rank_bm25 / okapi),
        goal("times faster than bm25s, rows split already", 5, bm25s_lucene / lucene),
        goal("times faster than rank_bm25, splitting included", 100, (splitting + rank_bm25) / whole),
        goal("largest difference, in units of the largest score", 1e-12, max(gaps.values()), at_least=False),
    ]
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.bm25.bm25_speed", *sys.argv[1:]]),
        "unit": f"CPU seconds (process_time), one thread; best of {args.n_turns} turns, rank_bm25 and splitting once",
        "versions": {name: version(name) for name in ("numpy", "scipy", "rank-bm25", "bm25s")},
        "settings": {
            "rows": args.rows,
            "terms": sum(map(len, terms)),
            "queries": len(queries),
            "query_terms": sum(map(len, queries)),
            "peer_queries": len(few),
        },
        "measured": {
            "rank_bm25_extrapolated": round(rank_bm25, 2),
            "bm25s": round(bm25s_lucene, 3),
            "okapi": round(okapi, 3),
            "lucene": round(lucene, 3),
            "splitting_rows_one_by_one": round(splitting, 3),
            "okapi_splitting_included": round(whole, 3),
            "correlation_of_okapi_and_lucene": round(float(np.corrcoef(whole_scores, lucene_scores)[0, 1]), 3),
            "differences": gaps,
        },
        "goals": goals,
    }
    text = json.dumps(result, indent=2)
    args.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
