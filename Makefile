# A short front for Meson: each target sees to the packages it needs, sets up build/, builds and runs.
PREFIX ?= /usr/local

.PHONY: all demo test bench install clean

all:
	@scripts/setup build
	@scripts/build build

# make demo URLS=file runs it on pages of your own.
demo: all
	@scripts/demo $(URLS)

test:
	@scripts/setup test
	@scripts/build build
	@scripts/run-tests build --no-suite long $(TEST_OPTIONS)

bench: all
	@bench/run

install: all
	@meson configure build -Dprefix=$(abspath $(PREFIX))
	@meson install -C build

clean:
	rm -rf build build-*
