"""Cards for the Hub: of a model that was trained on selected rows, and of a selected subset.

Only the templates are markdown. Everything that comes from a run (names, settings, commands) is escaped on its way in,
and anything that looks like an access token is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import unknown_name
from hf_select.report.card_template import DATASET_TEMPLATE, load_template, render
from hf_select.report.finding import caveats, findings
from hf_select.report.markup import Markdown, bullets, code_block, escape, one_line, table
from hf_select.report.result import Arm, Results, interval_of, problems_of, spread_of
from hf_select.report.tables import benchmark_names, cost_table, gates_table, outcome_table

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from hf_select.selection import Selection

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LEGEND = "pass@1: share of problems whose first program passes all tests; validation loss: nats per response token."


def model_card(
    results: Mapping[str, Any],
    arm: str,
    *,
    model_name: str,
    base_model: str | None = None,
    license: str | None = None,  # noqa: A002 (the name of the field on the Hub)
    training_arguments: Mapping[str, Any] | None = None,
    selection: Mapping[str, Any] | None = None,
    citations: Sequence[str] = (),
    notes: Sequence[str] = (),
    template: str | None = None,
) -> str:
    """The card of the model that one arm trained.

    Args:
        results: the content of ``results.json``.
        arm: name of the arm whose model it is.
        model_name: title of the card.
        base_model: Hub id of the model that was fine-tuned; ``None`` for one trained from scratch.
        license: licence id of the Hub.
        training_arguments: settings of the training; ``results["config"]`` by default.
        selection: provenance of the arm's selection.
        citations: what to cite, one line each; the method's own source is added.
        notes: further caveats.
        template: text of a template as ``load_template`` gives it.

    Returns:
        The card: metadata with results between ``---`` lines, then markdown.

    Raises:
        UnknownNameError: if the results have no such arm.
        ConfigError: if the template cannot be rendered.
    """
    found: Results = results  # type: ignore[assignment]  # plain data, read with .get throughout
    arms = list(found.get("arms") or ())
    own = next((one for one in arms if one.get("name") == arm), None)
    if own is None:
        raise unknown_name("arm", arm, [str(one.get("name")) for one in arms])
    dataset = found.get("dataset") or {}
    source = str(dataset.get("name", "unknown"))
    provenance = {
        "method": own.get("method"),
        "budget": own.get("budget"),
        "after gates": "yes" if own.get("gated") else "no",
    }
    fields = {
        "card_data": _model_metadata(own, model_name, base_model, source, license),
        "title": model_name,
        "summary": Markdown(
            f"{escape(base_model or 'A model from scratch')}, trained on {escape(_rows_told(own, dataset))} of "
            f"{escape(source)}, chosen by {escape(own.get('method') or 'no method')}."
        ),
        "results_table": outcome_table(arms),
        "results_legend": f"The model of this card is the arm {one_line(arm)}. {_LEGEND}",
        "findings": bullets(findings(found)),
        "caveats": bullets([*caveats(found), *notes]) or "None beyond those of any experiment.",
        "selection_table": _facts({**provenance, **dict(selection or {})}),
        "gates_table": _gates(found.get("gates"), own),
        "training_table": _facts(training_arguments if training_arguments is not None else found.get("config") or {}),
        "cost_table": cost_table([own]),
        "environment_table": _facts(found.get("versions") or {}),
        "command": code_block(str(found.get("command", "not recorded")), "bash"),
        "citations": _cited(str(own.get("method") or ""), citations),
    }
    return render(template if template is not None else load_template(), fields)


def dataset_card(
    selection: Selection,
    *,
    title: str,
    source_dataset: str,
    license: str | None = None,  # noqa: A002 (the name of the field on the Hub)
    gates: Mapping[str, int] | None = None,
    citations: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """The card of a selected subset.

    Args:
        selection: the selection, with its provenance.
        title: title of the card.
        source_dataset: the dataset that was selected from.
        license: licence id of the Hub; a subset carries the licence of its source.
        gates: rows that gates dropped before the selection, by reason.
        citations: what to cite, one line each; the method's own source is added.
        notes: further caveats.

    Returns:
        The card: metadata between ``---`` lines, then markdown.
    """
    from huggingface_hub import DatasetCardData

    name = _method_name(selection.provenance)
    metadata = DatasetCardData(
        license=_known(license),
        source_datasets=_repo_ids(source_dataset) or None,
        size_categories=next((label for limit, label in _SIZES if len(selection) < limit), "n>1M"),
        tags=[one_line(tag) for tag in ("hf_select", name) if tag],
        pretty_name=one_line(title),
    )
    kept = f"{len(selection):,} of {selection.n_rows:,} rows"
    said = [
        "Rows were ranked for one purpose and one model; for another they may be the wrong ones.",
        "Nothing in the selection checks facts, safety or licences of single rows.",
        *notes,
    ]
    fields = {
        "card_data": Markdown(metadata.to_yaml()),
        "title": title,
        "summary": Markdown(f"{kept} of {escape(source_dataset)}, chosen by {escape(name or 'an unnamed method')}."),
        "selection_table": _facts({"rows kept": kept, **dict(selection.provenance)}),
        "gates_table": gates_table(gates, selection.n_rows) if gates else "No gate was applied.",
        "caveats": bullets(said),
        "citations": _cited(name, citations),
    }
    return render(DATASET_TEMPLATE, fields)


def _model_metadata(arm: Arm, model_name: str, base_model: str | None, source: str, license_id: str | None) -> Markdown:
    from huggingface_hub import ModelCardData

    evaluations = _evaluations(arm)
    metadata = ModelCardData(
        base_model=next(iter(_repo_ids(base_model)), None),
        datasets=_repo_ids(source) or None,
        eval_results=evaluations or None,
        library_name="transformers",
        license=_known(license_id),
        model_name=(one_line(model_name) or "model") if evaluations else None,
        pipeline_tag="text-generation",
        tags=[one_line(tag) for tag in ("hf_select", arm.get("method")) if tag],
    )
    return Markdown(metadata.to_yaml())


def _evaluations(arm: Arm) -> list[EvalResult]:
    """pass@1 on every benchmark, mean over seeds."""
    from huggingface_hub import EvalResult

    records = arm.get("per_seed") or ()
    found = {name: _on_benchmark(records, name) for name in benchmark_names([arm])} or {"held-out problems": arm}
    evaluations = []
    for name, measured in found.items():
        spread = spread_of(measured, "pass_at_1")
        if spread is None:
            continue
        told = [f"{problems_of(measured)} problems"]
        if bounds := interval_of(measured):
            told.append(f"95 % interval {bounds[0]:.3f} to {bounds[1]:.3f}")
        evaluations.append(
            EvalResult(
                task_type="text-generation",
                dataset_type=re.sub(r"[^\w./-]+", "-", one_line(name)).strip("-") or "benchmark",
                dataset_name=one_line(name) or "benchmark",
                metric_type="pass@1",
                metric_name=f"pass@1 ({', '.join(told)})",
                metric_value=round(spread.mean, 4),
            )
        )
    return evaluations


def _on_benchmark(records: Sequence[Mapping[str, Any]], name: str) -> Arm:
    """One arm on one benchmark; the interval is known with a single seed only."""
    by_seed = [(record.get("benchmarks") or {}).get(name) or {} for record in records]
    return Arm(per_seed=by_seed, pass_at_1_interval=by_seed[0].get("interval") if len(by_seed) == 1 else None)


def _facts(values: Mapping[str, Any]) -> Markdown:
    """A table of settings, nested mappings flattened one level."""
    rows: list[Sequence[object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += [[f"{name}: {inner}", one] for inner, one in value.items()]
        elif value is not None:
            rows.append([name, value])
    return table(["fact", "value"], rows, numbers=False) if rows else Markdown("Nothing was recorded.")


def _gates(gates: Mapping[str, int] | None, arm: Arm) -> Markdown:
    if not arm.get("gated"):
        return Markdown("No gate was applied to this arm.")
    return gates_table(gates) if gates else Markdown("The gates dropped nothing.")


def _rows_told(arm: Arm, dataset: Mapping[str, Any]) -> str:
    rows = spread_of(arm, "rows")
    whole = dataset.get("n_rows")
    told = "an unknown number of rows" if rows is None else f"{rows.mean:,.0f} rows"
    return f"{told} out of {whole:,}" if isinstance(whole, int) else told


def _cited(method: str, citations: Sequence[str]) -> Markdown:
    """What to cite: the source of the method, then what the caller names."""
    from hf_select.methods import METHODS

    own = [METHODS[method].citation] if method in METHODS else []
    return bullets(dict.fromkeys([*own, *citations])) or Markdown("Nothing to cite.")


def _method_name(provenance: Mapping[str, Any]) -> str:
    method = provenance.get("method")
    return str(method.get("name", "")) if isinstance(method, Mapping) else str(method or "")


def _repo_ids(name: str | None) -> list[str]:
    """The name as the Hub's metadata takes it; empty for paths and embedded pools, which would be refused there."""
    if name is None or "/" not in name or not _REPO_ID.fullmatch(name) or Path(name).exists():
        return []
    return [name]


def _known(text: str | None) -> str | None:
    return one_line(text) or None if text is not None else None
