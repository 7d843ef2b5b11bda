#!/usr/bin/env bats
# Labs that are built in every way that RepX builds them run as they are.

load ../helpers

setup() {
    test_begin
}

teardown() {
    test_end
}

# lab OPTION...: a lab of these options, in a directory of its own.
lab() {
    make_lab "$T/exp$((++labs))-lab" "$@"
}

# runs_right RUN [OPTION...]: all jobs of the run succeed, with what they must leave.
runs_right() {
    local run=$1 id offset
    shift
    ok run "$run" -j 2 "$@"
    for id in $(jobs_of_run "$run"); do
        succeeded "$id"
        # scatter-gather jobs have parameters and inputs as simple ones do
        same "$(repx_of "$id")/inputs.json" "$("$RULES" inputs "$LAB" "$id" "$BASE")"
        same "$(repx_of "$id")/parameters.json" "$("$RULES" parameters "$LAB" "$id")"
    done
    while read -r offset; do
        same "$(out_of "$(job stage-A "$offset" "$run")")/numbers.txt" "$(seq -f %.0f $((1 + offset)) $((5 + offset)))"$'\n'
        [[ -z $(jobs_of_run "$run" | grep stage-B || true) ]] ||
            same "$(out_of "$(job stage-B "$offset" "$run")")/numbers.txt" "$(for i in 1 2 3 4 5; do echo $(((i + offset) * 2)); done)"$'\n'
    done < <(jq -r '[.jobs[].params.offset // empty] | unique[]' "$LAB/revision/metadata-$run.json")
}

@test "the interpreter in the image's /nix/store, a shared image" {
    lab --image unified --shebang nix --sweep 2
    runs_right sim
}

@test "an image of its own for each run, and a native run beside it" {
    lab --image per-run --native-run --sweep 2
    runs_right sim
    launch run sim-native
    exits 125
    runs_right sim-native --native
}

@test "no image at all, natively" {
    lab --image none --sweep 2 --stages 4
    runs_right sim --native
}

@test "an image of 40 layers with many files" {
    lab --image unified --layers 40 --filler-files 20 --sweep 1 --shebang nix
    runs_right sim
    [[ $(record "$(job stage-A)" '.image.layers | length') -eq 40 ]]
}

@test "writable modes inside the layers" {
    lab --image unified --no-nix-perms --sweep 1 --shebang nix
    runs_right sim
}

@test "scatter-gather, an inter-run dependency, resource hints" {
    lab --image unified --scatter --branches 5 --inter-run --hints --sweep 2
    runs_right sim
    runs_right analysis
    same "$(out_of "$(job stage-S 0)")/sums.txt" $'4\n16\n36\n64\n100\n'
    same "$(out_of "$(job stage-S 1)")/sums.txt" $'16\n36\n64\n100\n144\n'
}

@test "a lab as the Nix store has it: everything read-only" {
    lab --image unified --readonly --sweep 1
    runs_right sim
    [[ -z $(find "$LAB" -newer "$T/stdout" -o -writable -type f ! -user root) || $(id -u) -eq 0 ]]
}

@test "a packed lab, also when the directory is gone" {
    lab --image unified --tar --sweep 1
    cp -a "$LAB" "$T/kept"
    REPX_LAB=$LAB.tar ok run sim
    [[ $(wc -l <"$BASE/outputs/completions.jsonl") -eq 2 ]]
    mv "$LAB" "$T/away"
    REPX_LAB=$LAB.tar ok run sim --rerun
    [[ $(wc -l <"$BASE/outputs/completions.jsonl") -eq 4 ]]
    [[ $(sort -u "$BASE/outputs/completions.jsonl" | grep -c '"ok"') -eq 2 ]]
}

@test "a long chain, another version, another run name, groups" {
    lab --image unified --stages 6 --stage-version 2.0-rc1 --run-name other_run.1 --group all=other_run.1 --sweep 1
    ok run other_run.1
    [[ $(jobs_of_run other_run.1 | wc -l) -eq 6 ]]
    for id in $(jobs_of_run other_run.1); do succeeded "$id"; done
    same "$(out_of "$(job stage-F '' other_run.1)")/numbers.txt" $'32\n64\n96\n128\n160\n'
}

@test "programs of the host with their libraries in the image" {
    lab --image unified --image-bin /bin/bash --sweep 1 --shebang /bin/bash
    runs_right sim
}

@test "a lab in ./result, and one in a directory with an odd name" {
    lab --image unified --sweep 1
    unset REPX_LAB
    ln -s "$LAB" result
    ok run "$(job stage-A)"
    rm result
    mv "$LAB" "$T/odd lab's, \"name\": ünï"
    LAB="$T/odd lab's, \"name\": ünï"
    ok run "$(job stage-B)" --lab "$LAB"
    succeeded "$(job stage-B)"
}

@test "many jobs" {
    lab --image unified --trivial --jobs 60 --shebang nix
    ok run sim -j 4
    [[ $(grep -c '"ok"' "$BASE/outputs/completions.jsonl") -eq 60 ]]
    says '60 succeeded, 0 failed'
}
