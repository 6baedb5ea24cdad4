"""``python -m engines.contract.own path/file.py:function CONFIG --out FOLDER``: run an engine of a
user's own."""

from __future__ import annotations

import sys

from engines.contract.config import ConfigError
from engines.contract.own.engine import own_engine
from engines.contract.program import BAD_CONFIG, program

NAME = "contract.own"


def main(arguments: list[str]) -> int:
    """Load the engine and run it as every engine is run; exit code 2 and one line if it cannot be
    loaded."""
    try:
        engine = own_engine(arguments[0] if arguments else "")
    except ConfigError as error:
        print(f"engines.{NAME}: {error}", file=sys.stderr)
        return BAD_CONFIG
    return program(NAME, engine.config, engine.run, arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
