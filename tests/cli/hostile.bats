#!/usr/bin/env bats
# What neighbours, labs and hurried users can do to the launcher: planted links below
# base_path, mounts that collide, SIGKILL at any moment, very many inputs.

# shellcheck disable=SC2154 # out and err: of helpers.bash
load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$MAKE_LAB" --image unified --sweep 1 --scatter --branches 2 "$FILES/lab" >/dev/null
    "$MAKE_LAB" --image unified --sweep 1 --stages 1 --sleep 778 "$FILES/slow" >/dev/null
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    use_lab "$FILES/lab"
}

teardown() {
    test_end
}

@test "a link planted for repx or out is not followed, its target stays as it is" {
    local id name
    id=$(job stage-A)
    mkdir "$T/victim"
    echo precious >"$T/victim/file"
    for name in repx out; do
        mkdir -p "$BASE/outputs/$id"
        ln -s "$T/victim" "$BASE/outputs/$id/$name"
        launch run "$id"
        refused 125 "$BASE/outputs/$id/$name" 'symbolic link'
        [[ $(ls "$T/victim") == file && $(<"$T/victim/file") == precious ]]
        rm -r "$BASE/outputs/$id"
    done
}

@test "a link planted for a phase's out is not emptied" {
    local id
    id=$(job stage-S)
    ok run "$(job stage-A)"
    ok run "$(job stage-B)"
    mkdir -p "$T/victim" "$BASE/outputs/$id/scatter"
    echo precious >"$T/victim/file"
    ln -s "$T/victim" "$BASE/outputs/$id/scatter/out"
    launch run "$id" --unit scatter
    refused 125 "$BASE/outputs/$id/scatter/out" 'symbolic link'
    [[ $(<"$T/victim/file") == precious ]]
}

@test "mistakes in mounts are found before the job's outcome is touched" {
    local id
    id=$(job stage-A)
    ok run "$id"
    launch run "$id" --mount-path /no/such/path
    refused 125 /no/such/path
    succeeded "$id"
    launch run "$id" --mount-path /etc:/m --mount-path /usr:/m
    refused 125 /m
    succeeded "$id"
    launch run "$id" --mount-path "/etc:$(out_of "$id"):rw"
    refused 125 "$(out_of "$id")"
}

@test "SIGKILL of the launcher at any moment of its start leaves no job" {
    local id round
    use_lab "$FILES/slow"
    id=$(job stage-A)
    ok image prepare "$LAB"/images/*
    for ((round = 0; round < 40; round++)); do
        "$LAUNCH" run "$id" </dev/null >/dev/null 2>&1 &
        pid=$!
        sleep "0.0$((RANDOM % 6))$((RANDOM % 10))"
        kill -KILL "$pid"
        wait "$pid" || :
    done
    await no_process "$(out_of "$id")" || { processes "$(out_of "$id")"; return 1; }
}

@test "a gather of very many branches starts" {
    local id n=3200
    id=$(job stage-S)
    ok run "$(job stage-A)"
    ok run "$(job stage-B)"
    python3 - "$BASE/outputs/$id" "$n" <<'PYTHON'
import json, os, sys
job, n = sys.argv[1], int(sys.argv[2])
os.makedirs(job + "/scatter/out")
os.makedirs(job + "/scatter/repx")
json.dump([{"startIndex": i} for i in range(n)], open(job + "/scatter/out/work_items.json", "w"))
open(job + "/scatter/repx/SUCCESS", "w").close()
for i in range(n):
    for step, name in ("extract", "number.txt"), ("square", "partial.txt"):
        d = "%s/branch-%d/step-%s" % (job, i, step)
        os.makedirs(d + "/out")
        os.makedirs(d + "/repx")
        open(d + "/repx/SUCCESS", "w").close()
        with open(d + "/out/" + name, "w") as f:
            f.write("1\n")
PYTHON
    ok run "$id" --unit gather
    [[ $(wc -l <"$(out_of "$id")/sums.txt") -eq $n ]]
}

@test "an inter-run input of a very large run shows all outputs, and says so" {
    local id
    make_lab "$T/many" --image unified --jobs 1001 --stages 1 --trivial --inter-run
    id=$(job stage-meta '' analysis)
    python3 - "$BASE/outputs" "$LAB/revision/metadata-sim.json" <<'PYTHON'
import json, os, sys
for job in json.load(open(sys.argv[2]))["jobs"]:
    for name in "out", "repx":
        os.makedirs("%s/%s/%s" % (sys.argv[1], job, name))
    open("%s/%s/repx/SUCCESS" % (sys.argv[1], job), "w").close()
PYTHON
    ok run "$id"
    [[ $err == *'1001 jobs'*'read-only'* ]]
    [[ $(jq -r '[.mounts[] | select(.role == "input") | .dest][0:9][]' "$(repx_of "$id")/launch.json" |
        grep -cx "$BASE/outputs") -eq 1 ]]
}
