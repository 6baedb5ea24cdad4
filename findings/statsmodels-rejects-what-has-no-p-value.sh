#!/usr/bin/env bash
# statsmodels 0.15.0 and scipy 1.17.1 on numpy 2.3.5 and pandas 3.1.1.
#
# Guess: a family of tests in which one could not be computed, p = NaN, is an error in statsmodels' multipletests as
# it is in scipy, or the NaN is left out and the others are adjusted as if it were not there.
#
# Seen: neither. With Holm's method the NaN counts as a test (two p-values of 0.01 and 0.02 are adjusted to 0.03 and
# 0.04 instead of 0.02 and 0.02), comes back as NaN, and its hypothesis is among the REJECTED ones. With the method of
# Benjamini and Hochberg every adjusted p-value is NaN, while the two others are said to be rejected. scipy's
# false_discovery_control raises an error. A report that reads the flags calls a comparison significant that was
# never made.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    statsmodels==0.15.0 scipy==1.17.1 numpy==2.3.5 pandas==3.1.1 2>/dev/null

"$folder/venv/bin/python" - <<'PROGRAM' 2>/dev/null
import sys

import numpy as np
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

nan = float("nan")
seen = {}
for name, p_values in (("whole", [0.01, 0.02]), ("one missing", [0.01, nan, 0.02])):
    for method in ("holm", "fdr_bh"):
        rejected, adjusted = multipletests(p_values, method=method)[:2]
        seen[name, method] = (rejected.tolist(), np.round(adjusted, 4).tolist())
        print(f"{name:12} {method:7} rejected {rejected.tolist()} adjusted {adjusted.tolist()}")
try:
    false_discovery_control([0.01, nan, 0.02])
    scipy_refuses = False
except ValueError as error:
    scipy_refuses = True
    print("scipy:", error)
as_expected = (
    seen["whole", "holm"] == ([True, True], [0.02, 0.02])
    and seen["one missing", "holm"][0] == [True, True, True]
    and seen["one missing", "holm"][1][0] == 0.03
    and np.isnan(seen["one missing", "holm"][1][1])
    and seen["one missing", "fdr_bh"][0] == [True, False, True]
    and all(np.isnan(seen["one missing", "fdr_bh"][1]))
    and scipy_refuses
)
sys.exit(not as_expected)
PROGRAM
