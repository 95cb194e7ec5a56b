"""What holds for every test."""

import gc

from hypothesis import settings

# Examples that open files or share two cores with others are sometimes slow; the suite's own timeout is the limit.
settings.register_profile("pileup", deadline=None)
settings.load_profile("pileup")


def pytest_collection_finish() -> None:
    """Thousands of collected tests live as long as the run: each look through them for garbage would find none."""
    gc.collect()
    gc.freeze()
