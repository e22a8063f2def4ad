"""Tables, plots, reports and cards: what a run shows, and what it does not.

    results.json ──> tables ────────────┐
                 ──> comparison, finding ├──> report.md, README.md of the Hub
    selection    ──> plots + their data ┘

Matplotlib is asked for only when a plot is drawn.
"""

from hf_select.report.card import dataset_card, model_card
from hf_select.report.card_template import load_template
from hf_select.report.comparison import Comparison, compare
from hf_select.report.report import END_OF_SUMMARY, SelectionView, write_report

__all__ = [
    "END_OF_SUMMARY",
    "Comparison",
    "SelectionView",
    "compare",
    "dataset_card",
    "load_template",
    "model_card",
    "write_report",
]
