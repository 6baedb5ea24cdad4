# One word per chore. `make demo` and `make test` do all their set-up themselves.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV
# Images of containers set it; without bytecode every command and job compiles all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast test-long test-slurm-new fuzz check format lint types bench bench-launch bench-starts bench-causes bench-packs bench-pcgrad bench-packing bench-sampler bench-size bench-serve bench-evaluation bench-fsm bench-gpu bench-geography-data bench-geography-evaluation bench-geography-packing bench-geography-training bench-polychromic-term bench-polychromic-training bench-verdicts clean docs

demo: ## the whole mtl-comparison in minutes on two cores: no Slurm, no GPU, no download of a model or data set
	@scripts/setup.sh demo
	@$(BIN)/orch launch mtl-comparison --preset smoke --cluster local --watch
	@$(BIN)/orch report mtl-comparison

test: ## everything, real Slurm included (installs it where it may)
	@scripts/setup.sh test
	@# Three at once keep both cores busy: Slurm's tests mostly wait, and most tests of an engine ask for one thread.
	@# Engines on Slurm come last (tests/conftest.py): there is one private Slurm at a time.
	@failed=0; logs=$$(mktemp -d); \
	$(BIN)/python -m pytest -m "not long and not slurm and not engine" -n 2 --dist loadfile --durations=15 >$$logs/computing 2>&1 & computing=$$!; \
	$(BIN)/python -m pytest -m "not long and engine and not slurm" --durations=15 >$$logs/engine 2>&1 & engine=$$!; \
	trap "kill $$computing $$engine 2>/dev/null; rm -rf $$logs" EXIT; trap "exit 130" INT TERM; \
	$(BIN)/python -m pytest -m "not long and slurm" --durations=15 || failed=1; \
	wait $$computing || failed=1; wait $$engine || failed=1; cat $$logs/computing $$logs/engine; \
	exit $$failed

test-fast: ## without Slurm, vLLM and Ray: minutes
	@$(BIN)/python -m pytest -m "not long and not slurm and not engine" -n 2 --dist loadfile

test-long: ## what takes long, such as the three-seed comparison of docs/results.md
	@scripts/setup.sh test
	@$(BIN)/python -m pytest -m long
	@$(MAKE) --no-print-directory test-slurm-new

test-slurm-new: ## the tests of Slurm on a newer one, Debian 13's (24.11), in a root that debootstrap makes outside of the repository
	@scripts/setup.sh test
	@scripts/newer_slurm.sh $(BIN)/python -m pytest -m "slurm and not engine" --durations=15 tests/slurm tests/orchestrator || \
	{ code=$$?; [ $$code = 3 ] && echo "no tests on a newer Slurm here" && exit 0; exit $$code; }

docs: ## the documentation as a site in build/docs, with every link checked
	@scripts/setup.sh docs
	@$(BIN)/python scripts/site.py

.PHONY: pictures
pictures: ## those of the docs, from runs below ORCH_RUNS: of `make demo`, of docs/own-script.md (curve, evolved), of `orch launch fsm-icl --preset smoke`; needs Chromium
	@$(BIN)/python scripts/figures.py
	@$(BIN)/python scripts/picture.py docs/img/demo.svg mtl-comparison
	@$(BIN)/python scripts/picture.py docs/img/watch.svg curve $(foreach _,1 2 3 4 5 6 7 8,down) w
	@$(BIN)/python scripts/picture.py docs/img/page.png curve
	@$(BIN)/python scripts/picture.py docs/img/report-checkpoints.png curve-evolution
	@$(BIN)/python scripts/figures.py $${ORCH_RUNS:-runs}/fsm-icl/smoke-*/jobs/report/out/figures/curves.svg fsm-icl-smoke

fuzz: ## what people write, mutated, for an hour: MINUTES=60, SEED=0; what ended badly lies in fuzz-found/
	@$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),60) --seed $(or $(SEED),0)

.PHONY: launcher
launcher: ## the program in C that starts plain jobs, beside its source; without it Python starts all (needs cc, with musl-tools a smaller one)
	@$(BIN)/python orchestrator/node/launcher/build.py

check: lint types ## what CI checks before the tests

format: ## layout of the code, by ruff
	@$(BIN)/ruff format .

lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run make format"; exit 1; }

types:
	@$(BIN)/mypy

bench: bench-launch bench-starts bench-size bench-packs bench-pcgrad bench-packing bench-sampler bench-serve bench-evaluation bench-fsm bench-geography-data ## all of them: ratios against a baseline in the same run

bench-launch: ## launch and status of 350 jobs on the private Slurm against a raw array
	@scripts/setup.sh test
	@$(BIN)/python -m tests.benchmarks.bench_launch

bench-size: ## large runs: 50,000 results, a page of 10,000 jobs, 20 who follow 2,000, a plan of 20,000, the search for secrets
	@$(BIN)/python -m tests.benchmarks.bench_size

bench-starts: ## an empty job on its node and a look at a run that is over, against python -c pass: AGAINST=an older checkout
	@scripts/setup.sh test
	@$(BIN)/python -m tests.benchmarks.bench_starts $(if $(AGAINST),--against "$(AGAINST)")

bench-causes: ## why jobs have died, against reading the ends of their logs
	@$(BIN)/python -m tests.benchmarks.bench_causes

bench-packs: ## jobs that share an allocation against single ones, and warm starts against cold ones
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_pack

bench-pcgrad: ## what PCGrad costs in time and memory, against the plain sum and the usual implementation
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_pcgrad

bench-packing: ## tokens through the update per second, packed against padded
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_packing

bench-sampler: ## samples of the trained model: our loop against transformers' generate
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_sampler

bench-serve: ## the live page over ten thousand jobs: a poll against orch status --json
	@$(BIN)/python -m tests.benchmarks.bench_serve

bench-evaluation: ## our generation against bare vLLM, and one job against a process per task and checkpoint
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_evaluation

bench-fsm: ## small models: five seeds as processes and stacked, against a plain nn.LSTM and a loop over time
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_fsm

bench-geography-evaluation: ## answers to questions about cities: our batched generation against vLLM
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_geography_evaluation

bench-geography-data: ## seven sets of a million questions about cities, drawn and as tokens, against a plain loop
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_geography_data

bench-geography-packing: ## one seed of ftwb1's smoke preset in packs that take turns, against a process for each job and each set
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_geography_packing

bench-geography-training: ## small models that learn cities: tokens per CPU second against transformers' Trainer
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_geography_training

bench-polychromic-training: ## fine-tuning on replies: tokens per CPU second against TRL's SFTTrainer
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_polychromic_training

bench-polychromic-term: ## what the diversity term costs per step, against generation and one scoring pass
	@scripts/setup.sh test
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_polychromic_term

bench-gpu: ## one card: stacked small models under CUDA graphs, PCGrad in bfloat16, memory of log-probabilities; without vLLM and Ray
	@$(BIN)/python -m tests.benchmarks.bench_gpu

bench-verdicts: ## our scorers against official verdicts: FOLDER=... with *.jsonl (see the module), SCORER=my_module:score
	@test -n "$(FOLDER)" || { echo "say which folder: make bench-verdicts FOLDER=folder" >&2; exit 2; }
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_verdicts "$(FOLDER)" $(if $(SCORER),--scorer "$(SCORER)")

clean: ## removes caches and builds; keeps runs/ and the environment
	@rm -rf build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
