#!/usr/bin/env bats
# The index of labs in the node-local store: with it everything is as without it, and what
# happens to the lab or to the index is noticed.

# shellcheck disable=SC2154 # out and err: of helpers.bash
load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$MAKE_LAB" --image none --sweep 1 --scatter --branches 1 --inter-run --hints "$FILES/small-lab" >/dev/null
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    INDEX=$LOCAL/repx/labs-v1
}

teardown() {
    test_end
}

# lab: a copy of the lab, for this test.
lab() {
    cp -a "$FILES/small-lab" "$T/exp-lab"
    use_lab "$T/exp-lab"
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
    printf '%s\n' "$*" "$status" >>"$file"
    cat "$T/stdout" "$T/stderr" >>"$file"
}

# all_answers FILE NAME...: what list and plan say of these.
all_answers() {
    local file=$1 name
    shift
    answers "$file" list --json
    for name; do
        answers "$file" plan "$name" --native --json
    done
}

jobs_of_runs() {
    jq -r '.jobs | keys[]' "$LAB"/revision/metadata-[!t]*.json | sort -u
}

# same_answers NAME...: with the index, which is made here, as without.
same_answers() {
    rm -rf "$INDEX"
    without_index
    all_answers "$T/json" "$@"
    [[ -z $(ls -A "$INDEX") ]]
    with_index
    launch plan "$1" --native
    [[ $(ls "$INDEX") == *.jobs*.lab* ]] || show 'expected an index'
    all_answers "$T/indexed" "$@"
    diff "$T/json" "$T/indexed"
    rm "$T/json" "$T/indexed"
}

@test "list and plan: the same with an index, before and after the jobs have run" {
    local jobs
    lab
    mapfile -t jobs < <(jobs_of_runs)
    # names that are ambiguous, unknown, of a run, too short
    same_answers "${jobs[@]}" stage none sim ''
    ok run sim --native -q
    same_answers "$(job stage-B)" "$(job stage-meta '' analysis)"
    ok run analysis --native -q
    succeeded "$(job stage-meta '' analysis)"
    # what the job reads of the lab follows it, also when its length stays
    edit '.gitHash = "deadbeee"' revision/metadata-sim.json
    ok run "$(job stage-meta '' analysis)" --native -q
    cmp "$BASE/artifacts/revision/metadata-sim.json" "$LAB/revision/metadata-sim.json"
}

@test "one launch at a time makes the index" {
    local n pids=() id
    lab
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
    lab
    ok list
    absent "$LOCAL" "$BASE"
    ok run "$(job stage-A)" --native -q
    exists "$INDEX"/*.jobs
}

@test "a lab that was built again is read again, at once" {
    local id
    lab
    id=$(job stage-A)
    ok run "$id" --native -q
    rm -r "$LAB"
    make_lab "$T/exp-lab" --image none --sweep 2
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
    lab
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
    lab
    chmod -R a-w "$LAB"
    id=$(job stage-A)
    ok run "$id" --native -q
    ok run "$id" --native -q
    [[ $(ls "$INDEX") == *.jobs*.lab* ]]
    chmod -R u+w "$LAB"
}
