"""One method on one pool, in a process of its own: what it took is printed as one line of JSON.

The kernel refuses memory beyond the limit (``RLIMIT_DATA``: all that is not a mapped file), so that a method that needs
more ends with ``MemoryError`` instead of taking it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1")


def peak_mb() -> float:
    """Most memory that this process ever held, mapped files included."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def run(pool: Path, reference: Path, method: dict[str, object], budget: str, max_gb: float) -> dict[str, object]:
    """Select, and tell what it took."""
    limit = int(max_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import numpy as np
    from datasets import Dataset

    from hf_select import make, select

    rows, aims = Dataset.from_file(str(pool)), Dataset.from_file(str(reference))
    made = make(**method)  # type: ignore[arg-type]  # the name and the fields
    before, started, wall = peak_mb(), time.process_time(), time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        selection = select(rows, made, budget, reference=aims if made.needs_reference else None, cache_dir=False)
    picks = np.ascontiguousarray(selection.indices, dtype=np.int64)
    return {
        "cpu_seconds": round(time.process_time() - started, 2),
        "seconds": round(time.perf_counter() - wall, 2),
        "peak_mb": peak_mb(),
        "peak_mb_before": before,
        "n_picks": len(picks),
        "n_distinct_picks": len(np.unique(picks)),
        "all_finite": bool(np.isfinite(selection.scores).all()),
        "excluded": selection.provenance["excluded"],
        "sha256_of_picks": hashlib.sha256(picks.tobytes()).hexdigest(),
        "warnings": sorted({str(warning.message)[:200] for warning in told}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--method", type=json.loads, required=True, help='for example \'{"name": "core_set"}\'')
    parser.add_argument("--budget", required=True)
    parser.add_argument("--max_gb", type=float, required=True)
    args = parser.parse_args()
    json.dump(run(args.pool, args.reference, args.method, args.budget, args.max_gb), sys.stdout)


if __name__ == "__main__":
    main()
