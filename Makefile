# A short front for Meson: each target sees to the packages it needs, sets up a build directory (build/,
# or build-test/ for the tests), builds and runs.
PREFIX ?= /usr/local

.PHONY: all demo test bench install clean

all:
	@scripts/setup build
	@scripts/build build -Dtests=disabled -Dtools=enabled

# make demo URLS=file runs it on pages of your own.
demo: all
	@build/tools/trenza/trenza demo $(if $(URLS),--input $(URLS))

test:
	@scripts/setup test
	@scripts/build build-test -Dtests=enabled
	@scripts/run-tests build-test --no-suite long $(TEST_OPTIONS)

# Peers come from Debian packages; the table also goes to bench/results.tsv.
bench:
	@scripts/setup build
	@bench/run

install: all
	@meson configure build -Dprefix=$(abspath $(PREFIX)) -Dlibdir=lib
	@ninja -C build build.ninja >/dev/null
	@meson install -C build --quiet
	@[ "$$(id -u)" != 0 ] || ldconfig

clean:
	rm -rf build build-*
