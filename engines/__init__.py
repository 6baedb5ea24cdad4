"""Programs that do the work on a node: ``python -m engines.NAME CONFIG --out FOLDER``.

An engine reads one config file and the paths in it and writes only below ``--out``:

- ``progress.jsonl``            one line per step, as it goes
- ``checkpoints/<name>/``       each with a ``manifest.json`` that is written last
- ``results.json``              last of all, by rename: its existence means that the work is done

``engines/<name>/__init__.py`` is the light contract (its ``Config``: pydantic and the standard
library, nothing else); ``engines/<name>/__main__.py`` is the program and may import torch, ray and
vllm. Engines know neither Slurm nor the orchestrator and never import each other; what two of them
share lies in ``engines/shared/``, and what they agree on with the orchestrator in
``engines/contract/``.
"""
