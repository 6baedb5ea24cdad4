"""Rows of a text and a reply to it, cut into splits without a text on two sides.

Light on purpose: the login node checks a config with it. ``python -m engines.polychromic_data
CONFIG --out FOLDER`` reads them from a file, or makes them with a grammar together with a tiny base
model.
"""

from engines.polychromic_data.config import Config

__all__ = ["Config"]
