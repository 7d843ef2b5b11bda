#!/usr/bin/env bats
# The index of labs in the node-local store: with it everything is as without it, and what
# happens to the lab or to the index is noticed.

load ../helpers

setup() {
    test_begin
    INDEX=$LOCAL/repx/labs-v1
}

teardown() {
    test_end
}

# lab OPTION...: a lab of these options, without an image.
lab() {
    rm -rf "$T/exp-lab"
    make_lab "$T/exp-lab" --image none "$@"
}

# without_index / with_index: a directory that others can write to is not believed.
without_index() {
    mkdir -p "$INDEX"
    chmod 0770 "$INDEX"
}

with_index() {
    chmod 0700 "$INDEX"
}

# answers FILE ARGUMENT...: appends what this command answers.
answers() {
    local file=$1
    shift
    launch "$@"
    printf '%s\n' "$*" "$status" "$out" "$err" >>"$file"
}

# all_answers FILE: what list and plan say of everything in the lab, and of names that are
# unknown, ambiguous or too short.
all_answers() {
    local id
    answers "$1" list
    answers "$1" list --json
    for id in $(jobs_of_runs) 0 1 stage none ''; do
        answers "$1" plan "$id" --native --json
    done
    answers "$1" plan sim --native
    answers "$1" run none --native
}

jobs_of_runs() {
    jq -r '.jobs | keys[]' "$LAB"/revision/metadata-[!t]*.json | sort -u
}

# same_answers: with the index, which is made here, as without.
same_answers() {
    without_index
    all_answers "$T/json"
    [[ -z $(ls -A "$INDEX") ]]
    with_index
    launch plan "$(jobs_of_runs | head -n 1)" --native
    [[ $(ls "$INDEX") == *.jobs*.lab* ]] || show 'expected an index'
    all_answers "$T/indexed"
    diff "$T/json" "$T/indexed"
    rm "$T/json" "$T/indexed"
}

@test "list and plan: the same with an index, before and after the jobs have run" {
    lab --sweep 1 --scatter --branches 2 --inter-run --hints
    same_answers
    ok run sim --native -q
    rm -r "$INDEX"
    same_answers
    ok run analysis --native -q
    succeeded "$(job stage-meta '' analysis)"
}

@test "one launch at a time makes the index" {
    local n pids=() id
    lab --sweep 1
    id=$(job stage-A)
    for n in 1 2 3 4; do
        "$LAUNCH" plan "$id" --native -v >/dev/null 2>"$T/err$n" &
        pids+=("$!")
    done
    for n in "${pids[@]}"; do
        wait "$n"
    done
    [[ $(cat "$T"/err* | grep -c 'is now indexed') -eq 1 ]] || { cat "$T"/err*; return 1; }
    # an index is there: nobody makes it again
    ok plan "$id" --native -v
    [[ $err != *'is now indexed'* ]]
}

@test "list makes no index and no store; plan and run do" {
    lab --sweep 1
    ok list
    absent "$LOCAL" "$BASE"
    ok run "$(job stage-A)" --native -q
    exists "$INDEX"/*.jobs
}

@test "a lab that was built again is read again, at once" {
    local id
    lab --sweep 1
    id=$(job stage-A)
    ok run "$id" --native -q
    lab --sweep 2
    ok run sim --native -q
    for id in $(jobs_of_run); do
        succeeded "$id"
    done
    edit '.jobs |= with_entries(.value.params.offset = 7)' revision/metadata-sim.json
    ok run "$id" --native -q
    [[ $(jq .offset "$(repx_of "$id")/parameters.json") -eq 7 ]]
}

@test "a damaged script, tool or index" {
    local id other
    lab --sweep 1
    id=$(job stage-A) other=$(job stage-B)
    ok run "$id" --native -q
    echo '# changed' >>"$(script "$other")"
    ok run "$id" --native -q
    launch run "$other" --native
    refused 125 "has SHA-256" "copy or build it again"
    launch run sim --native
    refused 125 "has SHA-256" "copy or build it again"
    truncate -s 100 "$INDEX"/*.jobs
    # made again, from all of the lab
    launch run "$id" --native
    refused 125 "has SHA-256" "copy or build it again"
    reseal
    ok run "$id" --native -q
    printf x | dd of="$(echo "$INDEX"/*.lab)" bs=1 seek=40 conv=notrunc status=none
    ok run "$other" --native -q
    echo changed >>"$(echo "$LAB"/store/*-tar)"
    launch run "$id" --native
    refused 125 "has SHA-256" "copy or build it again"
    ok run "$id" --native -q --no-verify-lab
}

@test "a lab that cannot be written to" {
    local id
    lab --sweep 1 --readonly
    id=$(job stage-A)
    ok run "$id" --native -q
    ok run "$id" --native -q
    [[ $(ls "$INDEX") == *.jobs*.lab* ]]
    chmod -R u+w "$LAB"
}
