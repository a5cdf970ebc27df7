# The short way to everything; CMake presets do the work. `make build` needs nothing but a Debian system and root the
# first time (tools/setup.sh says what it does), later neither root nor network.

JOBS ?= $(shell nproc)
# ON: builds from scratch take less time; OFF: a changed file does not compile seven others.
UNITY ?= ON
MAKEFLAGS += --no-print-directory
export GTEST_BRIEF = 1
CTEST = ctest -j $(JOBS) --output-on-failure --no-tests=error --timeout 600

.PHONY: build test asan minimal demo bench model model-accuracy study lint format clean setup setup-train
.DEFAULT_GOAL := build

setup:
	@tools/setup.sh

# Also LibTorch, for the trainer and its tests.
setup-train:
	@tools/setup.sh --train

# $(call compile,PRESET[,TARGET[,OPTIONS OF CMAKE]])
define compile
	@echo "== $(1): configure and build $(2), $(JOBS) jobs"
	@cmake --preset $(1) -DWINNOW_UNITY=$(UNITY) $(3) > build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }
	@grep -A3 '^-- Winnow' build/$(1).log | sed '/^-- Configuring/,$$d'
	@cmake --build --preset $(1) -j $(JOBS) $(if $(2),--target $(2))
endef

build: setup
	@mkdir -p build
	$(call compile,release,winnow_cli)
	@echo "== build/release/bin/winnow is ready"

# Everything a change has to pass. The release build first: it finds most failures fastest. Its tests are those that the
# sanitizer builds below cannot run (trainer, installation), take long there (whole runs), or that depend on the
# optimiser (the methods); every other test runs once, under the sanitizers.
RELEASE_TESTS = lint;base;prune;capi;train;study;e2e;install
test: setup-train
	@mkdir -p build
	$(call compile,release,,-DWINNOW_TEST_ROOMS="$(RELEASE_TESTS)")
	@echo "== release: tests"
	@$(CTEST) --test-dir build/release
	$(MAKE) asan
	@echo "== all tests passed (release; core and asan with sanitizers)"

# base, prune and its C API alone: no ggml, no image library.
minimal: setup
	@mkdir -p build
	$(call compile,minimal)
	@echo "== minimal: tests"
	@$(CTEST) --test-dir build/minimal

# Every test under the address and undefined-behaviour sanitizers: those of base, prune and the C API in a build that
# has nothing else, the others in a whole one.
asan: setup
	@mkdir -p build
	$(call compile,core)
	@echo "== core: tests"
	@$(CTEST) --test-dir build/core -LE 'lint|install|long'
	$(call compile,asan)
	@echo "== asan: tests"
	@$(CTEST) --test-dir build/asan -LE 'lint|install|long'

# Trains the built-in model (docs/model.md). On a slow machine it is shortened to end by then; with set-up and build, and
# some work beside it, that stays below three hours. Interrupted, the same command goes on where it was.
MODEL_MINUTES = 140
model: setup-train
	@mkdir -p build
	$(call compile,release,winnow_train_cli)
	@build/release/bin/winnow-train --out build/model --name winnow --within $(MODEL_MINUTES)
	@cp build/model/winnow-*-f16.gguf build/model/curve.jsonl models/

# The paper's questions on the built-in model -> docs/studies.md and its runs in build/study; for the latency studies the
# machine has to be idle. Interrupted, the same command goes on where it was. VARIANT: the model of the study training.
STUDIES = baselines position language alpha latency training equal-latency budget
VARIANT = merge=models/merge/winnow-merge-text-f16.gguf,models/merge/winnow-merge-mmproj-f16.gguf
study: build
	@for study in $(STUDIES); do \
	  echo "== study $$study"; \
	  build/release/bin/winnow study $$study --out build/study --page docs/studies.md \
	    --variant $(VARIANT) $$([ $$study = alpha ] && echo --auto) > build/study-$$study.log || exit 1; \
	done
	@for run in build/study/*/*/run.json; do \
	  run=$${run%/run.json}; build/release/bin/winnow report $$run -o $$run.html || exit 1; \
	done
	@echo "== docs/studies.md is written; a report stands beside each run in build/study"

demo: build
	@tools/demo.sh

# Micro-benchmarks of prune; end-to-end latency is `winnow bench`.
bench: setup
	@mkdir -p build
	@cmake --preset release -DWINNOW_BENCH=ON > build/bench.log 2>&1 || { cat build/bench.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)
	@for program in build/release/bin/*_bench; do echo "== $$program"; $$program || exit 1; done

# Accuracy of the built-in model on unseen scenes, unpruned and pruned, in the files' own f16: 10,000 questions under ten
# configurations, hours on two slow processors (docs/model.md has a shorter call).
model-accuracy: setup
	@mkdir -p build
	@cmake --preset release -DWINNOW_BENCH=ON > build/bench.log 2>&1 || { cat build/bench.log; exit 1; }
	@cmake --build --preset release -j $(JOBS) --target scenes_accuracy
	@build/release/bin/scenes_accuracy models/winnow-text-f16.gguf models/winnow-mmproj-f16.gguf --n 1000 \
		--blind --shuffled none random@50%+position=original random@25%+position=original \
		random@11%+position=original random@5%+position=original fastervlm@25%+position=original \
		fastv@25% window_fastv@25%

lint:
	@tools/setup.sh --dev
	@python3 tools/check_layers.py
	@python3 tools/check_text.py
	@git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format --dry-run -Werror
	@mkdir -p build
	$(call compile,tidy,,-DWINNOW_UNITY=OFF)

format:
	@git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format -i

clean:
	rm -rf build
