"""Settings for all tests."""

import matplotlib
from hypothesis import settings

matplotlib.use("Agg")  # figures are drawn, and no window opens
settings.register_profile("minigpt", deadline=None)  # a shared machine may stall for longer than any deadline
settings.load_profile("minigpt")
