#!/usr/bin/env bash
# submitit 1.5.4 with cloudpickle 3.1.2: one function, three learning rates, the settings in one object that the
# loop changes before each submit.
#
# Guess: a job has the settings of the moment at which it was submitted. `with executor.batch():` around the same
# loop only makes one array of the three.
#
# Seen: without batch each job has its own learning rate. Inside of batch all three jobs have the last one. It is the
# same for a dictionary, for the namespace of argparse, for a keyword argument and for what a function of the script
# reads from a global name. So a sweep becomes three repetitions of one setting. A copy for each job mends it.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install submitit==1.5.4 cloudpickle==3.1.2 2>/dev/null

cd "$folder"
cat >sweep.py <<'PROGRAM'
import argparse
import contextlib
import copy
import sys

import submitit

failed = False
RATES = [0.1, 0.01, 0.001]
executor = submitit.AutoExecutor("jobs", cluster="local")
executor.update_parameters(timeout_min=5)
settings = {"lr": 0.0}
options = argparse.Namespace(lr=0.0)


def of_dictionary(given):
    return given["lr"]


def of_namespace(given):
    return given.lr


def of_global():
    return settings["lr"]


def sweep(batch, submit):
    """What each of three jobs trained with."""
    jobs = []
    with executor.batch() if batch else contextlib.nullcontext():
        for rate in RATES:
            settings["lr"] = options.lr = rate
            jobs.append(submit())
    return [job.result() for job in jobs]


WAYS = {
    "a dictionary": lambda: executor.submit(of_dictionary, settings),
    "a keyword argument": lambda: executor.submit(of_dictionary, given=settings),
    "a namespace": lambda: executor.submit(of_namespace, options),
    "a global name": lambda: executor.submit(of_global),
    "a copy for each job": lambda: executor.submit(of_dictionary, copy.deepcopy(settings)),
}
for name, submit in WAYS.items():
    for batch in (False, True):
        expected = [RATES[-1]] * 3 if batch and "copy" not in name else RATES
        found = sweep(batch, submit)
        failed = failed or found != expected
        print(f"{name:20} {'in batch' if batch else 'alone':9}{found}{'' if found == expected else f'   expected: {expected}'}")
sys.exit(failed)
PROGRAM
venv/bin/python sweep.py
