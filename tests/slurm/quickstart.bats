#!/usr/bin/env bats
# scripts/quickstart is what README promises; also when it is interrupted.

load helpers

setup() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/repx-test.XXXXXX")
    chmod 0755 "$scratch"
    # The dev round builds as a newcomer does; other rounds show their own programs.
    options=(--build-dir "$BUILD")
    [[ $BUILD != */build/dev ]] || options=()
}

teardown() {
    rm -rf "$scratch"
}

# What a quickstart below $scratch may have left.
all_gone() {
    local left
    left=$(ls -A "$scratch")
    [[ $left == out || -z $left ]] || { echo "left: $left"; return 1; }
    nothing_left "$scratch/repx-quickstart"
}

@test "quickstart: everything ends as it should, and is shown" {
    local text
    TMPDIR=$scratch run "$SCRIPTS/quickstart" "${options[@]}"
    echo "$output"
    [[ $status -eq 0 ]]
    for text in 'producer .* n1 *COMPLETED *0 .* SUCCESS *numbers.txt: 1 2 3 4 5' \
        'consumer .* n2 *COMPLETED *0 .* SUCCESS *numbers.txt: 2 4 6 8 10' \
        'inter-run .* n2 *COMPLETED *0 .* SUCCESS *meta.txt' \
        'failure .* n1 *FAILED *3 .* FAIL *deliberate failure' \
        'cancelled .* n2 *CANCELLED .* FAIL *cancelled while it slept' \
        'is mounted read-only'; do
        grep -q -- "$text" <<<"$output" || { echo "no line like: $text"; return 1; }
    done
    all_gone
}

# interrupted SIGNAL CODE TEXT: it gets the signal once it has printed TEXT.
interrupted() {
    local pid status=0
    TMPDIR=$scratch env --default-signal=INT "$SCRIPTS/quickstart" --build-dir "$BUILD" \
        >"$scratch/out" 2>&1 3>&- &
    pid=$!
    SHARED=$scratch await 60 grep -q "$3" "$scratch/out"
    kill -s "$1" "$pid"
    wait "$pid" || status=$?
    [[ $status -eq $2 ]] || { cat "$scratch/out"; return 1; }
    all_gone
}

@test "quickstart, interrupted while jobs run: nothing is left" {
    interrupted INT 130 '^==> Jobs'
}

@test "quickstart, interrupted while it starts: nothing is left" {
    interrupted TERM 143 '^==> A Slurm'
}
