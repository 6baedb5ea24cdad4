"""Questions about the cities of the world: which cities there are, what is asked of them, and which
questions are kept for tests.

Light on purpose: the login node checks a config with it. ``python -m engines.geography_data CONFIG
--out FOLDER`` makes a world of real and of invented cities and, for each of the chosen tasks and
kinds of cities, a training, a validation and a test set. All follow from the seed, in every
process.
"""

from engines.geography_data.config import Config

__all__ = ["Config"]
