"""What holds for every test."""

from hypothesis import settings

# Examples that open files or share two cores with others are sometimes slow; the suite's own timeout is the limit.
settings.register_profile("pileup", deadline=None)
settings.load_profile("pileup")
