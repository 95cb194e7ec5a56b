"""Crashes drawn by the thousand, with the truth about which belong together, and how well history finds it.

``families`` draws sixty causes of crashes, ``crashes`` draws how each shows itself on a machine, ``baselines`` are two
ways to group crashes that others use. None of the three knows how Pileup names or compares failures. ``score`` puts
both side by side; ``python -m tests.corpus`` prints the figures.
"""
