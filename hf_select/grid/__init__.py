"""The comparison of selection methods: methods x budgets x seeds on one dataset; the parts of ``recipes/dsbox.py``.

One seed goes this way, every step a stage that a cut-off run finds finished::

    dataset ── split.py ──> test rows | validation rows | pool, a few rows of it labelled
                                             |              |
                 preparation.py   warm-up on the labelled rows; companions
                 reading.py       every pass once, however many methods -> signal columns of the pool
                 choice.py        method x budget -> picks
                 cell.py          fresh model, trained on labelled rows + picks -> measures on the test rows
"""
