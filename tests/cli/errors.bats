#!/usr/bin/env bats
# Bad input: one sentence on stderr, exit code 125 or 2, nothing half-written.
# shellcheck disable=SC2154 # out and err: of helpers.bash

load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$MAKE_LAB" --image unified --sweep 1 "$FILES/lab-lab" >/dev/null
    "$MAKE_LAB" --image none --sweep 1 --scatter "$FILES/scatter-lab" >/dev/null
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    cp -a "$FILES/lab-lab" "$T/lab"
    use_lab "$T/lab"
    id=$(job stage-A)
    meta=revision/metadata-sim.json
}

teardown() {
    test_end
}

# bad TEXT...: running the job is refused with these words; nothing is written.
bad() {
    launch run "$id"
    refused 125 "$@"
    absent "$BASE/outputs"
}

# unverified: the lab's digests are not checked from here on, so that changes to it need
# no new ones.
unverified() {
    export REPX_NO_VERIFY_LAB=1
    reseal() { :; }
}

# bad_lab FILTER TEXT...: the same after a change to the run's metadata.
bad_lab() {
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit "$1" "$meta"
    shift
    bad "$@"
}

# control: a file name with an escape sequence, a line break and a bell.
control=$'a\033[31mb\nc\a'

@test "usage: no command, unknown ones, unknown and misused options" {
    launch
    refused 2 command
    launch rum "$id"
    refused 2 rum 'did you mean run'
    launch run
    refused 2 list
    launch run "$id" --labb x
    refused 2 labb
    launch run "$id" --lab
    refused 2 --lab
    launch run "$id" --lab ''
    refused 2 --lab empty
    launch run "$id" -j many
    refused 2 many
    launch run "$id" --network everything
    refused 2 everything
    launch run "$id" --runtime chroot
    refused 2 chroot bwrap
    launch run "$id" --bwrap --native
    [[ $status -eq 2 || $status -eq 0 ]] || show
    launch exec --image x --jobs 2 -- true
    refused 2 jobs
    launch version --lab x
    refused 2 lab
    absent "$BASE/outputs"
}

@test "names with control characters are printed escaped" {
    launch run "$control"
    refused 125 'a\x1b[31mb\nc\x07'
    launch "$control"
    refused 2 '\x1b'
    launch run "$id" "--$control"
    refused 2 '\x1b'
    launch run "$id" --lab "$T/$control"
    refused 125 '\x1b'
    launch exec --image "$T/$control" -- true
    refused 125 '\x1b'
    launch config --config "$T/$control"
    refused 125 '\x1b'
    launch exec --image "$T" --mount-path "$T/$control" -- true
    [[ $err == *'\x1b'* && $err != *$'\033'* ]] || show
    mkdir "$T/$control"
    echo x >"$T/$control/file"
    launch exec --image "$T/$control" -- "/$control"
    refused 127 '\x1b'
    ok image inspect "$T/$control"
    [[ $out == *'\x1b'* && $out != *$'\033'* ]] || show
}

@test "names with control characters in a lab's metadata" {
    bad_lab '.jobs |= with_entries(.key += "\u001b[31m\n")' '\x1b'
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit ".jobs[\"$id\"].name = \"a\\u001b[31mb\" | .image = \"images/x\\u001by\"" "$meta"
    launch list
    [[ $out$err == *'\x1b'* && $out$err != *$'\033'* ]] || show
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit '.name = "r\u001bx"' "$meta"
    launch list
    [[ $out$err == *'\x1b'* && $out$err != *$'\033'* ]] || show
}

@test "the lab: missing, empty, a file, something else" {
    LAB=$T/nosuch REPX_LAB=$T/nosuch bad "$T/nosuch" --lab
    mkdir "$T/empty"
    REPX_LAB=$T/empty bad "$T/empty"
    echo text >"$T/text"
    REPX_LAB=$T/text bad "$T/text"
    mkfifo "$T/fifo"
    REPX_LAB=$T/fifo bad "$T/fifo"
    unset REPX_LAB
    bad ./result --lab
}

@test "the lab: a changed file, a missing one, an unreadable manifest" {
    echo more >>"$LAB/jobs/$id/bin/stage-A-producer"
    bad "jobs/$id/bin/stage-A-producer" SHA-256
    launch run "$id" --no-verify-lab
    [[ $err != *SHA-256* ]] || show
    scratch_remove "$BASE/outputs"
    rm "$LAB/jobs/$id/bin/stage-A-producer"
    bad "jobs/$id/bin/stage-A-producer"
    launch run "$id" --no-verify-lab
    [[ $status -ge 125 ]] || show
    scratch_remove "$BASE/outputs"
    rm "$LAB/lab/lab-metadata.json"
    bad lab-metadata.json
}

@test "the lab: parts are missing" {
    local part
    for part in host-tools jobs "jobs/$id" images; do
        scratch_remove "$LAB"
        cp -a "$FILES/lab-lab" "$LAB"
        scratch_remove "${LAB:?}/$part"
        # also when nobody checks the digests
        launch run "$id" --no-verify-lab
        refused 125 "${part%%/*}"
        absent "$BASE/outputs"
    done
}

@test "the lab: parts that are links leading out of it" {
    mv "$LAB/jobs/$id" "$T/elsewhere"
    ln -s "$T/elsewhere" "$LAB/jobs/$id"
    bad "$id"
    rm "$LAB/jobs/$id"
    mv "$T/elsewhere" "$LAB/jobs/$id"
    mv "$LAB/$meta" "$T/meta.json"
    ln -s "$T/meta.json" "$LAB/$meta"
    bad metadata-sim.json
    rm "$LAB/$meta"
    mv "$T/meta.json" "$LAB/$meta"
    mv "$LAB"/images/* "$T/image"
    ln -s "$T/image" "$LAB/images/$(basename "$FILES"/lab-lab/images/*)"
    bad image
}

@test "JSON of every broken kind, in each file" {
    local file text
    for file in lab/lab-metadata.json revision/metadata-top.json "$meta"; do
        # what it says counts, also when it is what the manifest lists
        [[ $file == lab/* ]] || unverified
        for text in '' '{' '[]' 'null' '{}' '"text"' '{"a":1' $'{"a":"\xff\xfe"}' '{"a":1}{"b":2}' "$(printf '[%.0s' {1..5000})"; do
            printf '%s' "$text" >"$LAB/$file"
            bad "${file##*/}"
        done
        head -c 60 "$FILES/lab-lab/$file" >"$LAB/$file"
        bad "${file##*/}"
        cp "$FILES/lab-lab/$file" "$LAB/$file"
    done
}

@test "metadata: wrong types, missing members" {
    unverified
    bad_lab '.jobs = []' jobs
    bad_lab ".jobs[\"$id\"] = 1" "$id"
    bad_lab ".jobs[\"$id\"].executables = []" "$id"
    bad_lab "del(.jobs[\"$id\"].executables.main)" "$id" main
    bad_lab "del(.jobs[\"$id\"].executables.main.path)" "$id" path
    bad_lab ".jobs[\"$id\"].executables.main.path = 7" "$id" path
    bad_lab ".jobs[\"$id\"].executables.main.inputs = {}" "$id" inputs
    bad_lab ".jobs[\"$id\"].executables.main.outputs = []" "$id" outputs
    bad_lab ".jobs[\"$id\"].stage_type = \"other\"" "$id" other
    bad_lab ".jobs[\"$id\"].params = []" "$id" params
}

@test "metadata: paths and ids that point outside" {
    unverified
    local path
    for path in ../../../bin/sh /bin/sh "jobs/$id/../../../x" "jobs/$id/bin/../../../../x" '' .; do
        bad_lab ".jobs[\"$id\"].executables.main.path = \"$path\"" "$id"
    done
    bad_lab '.jobs |= with_entries(.key = "../" + .key)' ..
    bad_lab '.jobs |= with_entries(.key = "a/" + .key)' a/
    bad_lab ".jobs[\"..\"] = .jobs[\"$id\"]" ..
    bad_lab '.image = "../../etc"' etc
    bad_lab '.image = "/etc"' etc
    bad_lab '.image = "images/nosuch"' nosuch
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit '.runs = ["../outside.json"]' revision/metadata-top.json
    bad outside.json
    edit '.runs = ["revision/metadata-nosuch.json"]' revision/metadata-top.json
    bad metadata-nosuch.json
}

@test "output templates that leave the producer's out" {
    unverified
    local template consumer
    consumer=$(job stage-B)
    ok run "$id"
    for template in '$out/../repx/launch.json' /etc/passwd '$out/../../../../x' '../x' '$outside' ''; do
        cp "$FILES/lab-lab/$meta" "$LAB/$meta"
        edit ".jobs[\"$id\"].executables.main.outputs.data = \"$template\"" "$meta"
        launch run "$consumer"
        refused 125 "$consumer" data
        not_run "$consumer"
    done
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit ".jobs[\"$id\"].executables.main.outputs.data = 5" "$meta"
    launch run "$consumer"
    refused 125 data 'not a path'
}

@test "an output that is a link out of its producer's directory is not followed on the host" {
    local consumer
    consumer=$(job stage-B)
    ok run "$id"
    echo secret >"$T/secret"
    ln -sf "$T/secret" "$(out_of "$id")/numbers.txt"
    launch run "$consumer"
    [[ $status -ne 0 ]] || show
    refute grep -rqs secret "$(out_of "$consumer")"
}

@test "inputs from jobs and outputs that do not exist" {
    local consumer
    consumer=$(job stage-B)
    edit ".jobs[\"$consumer\"].executables.main.inputs[0].job_id = \"nosuchjob\"" "$meta"
    launch run "$consumer"
    refused 125 nosuchjob
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit ".jobs[\"$consumer\"].executables.main.inputs[0].source_output = \"nosuchoutput\"" "$meta"
    launch run "$consumer"
    refused 125 nosuchoutput
    absent "$BASE/outputs"
}

@test "jobs that need each other" {
    local consumer
    consumer=$(job stage-B)
    edit ".jobs[\"$id\"].executables.main.inputs = [.jobs[\"$consumer\"].executables.main.inputs[0] | .job_id = \"$consumer\"]" "$meta"
    launch run sim
    refused 125 "$id" "$consumer"
    cp "$FILES/lab-lab/$meta" "$LAB/$meta"
    edit ".jobs[\"$id\"].executables.main.inputs = [.jobs[\"$consumer\"].executables.main.inputs[0]]" "$meta"
    launch run sim
    refused 125 "$id"
    absent "$BASE/outputs"
}

@test "steps that need each other, or do not exist, or are several last ones" {
    cp -a "$FILES/scatter-lab" "$T/scatter-lab"
    use_lab "$T/scatter-lab"
    id=$(job stage-S)
    local filter
    for filter in '.["step-extract"].deps = ["square"]' '.["step-square"].deps = ["nosuch"]' '.["step-square"].deps = []' \
        'del(.["step-square"], .["step-extract"])' 'del(.gather)' 'del(.scatter)'; do
        cp "$FILES/scatter-lab/$meta" "$LAB/$meta"
        edit ".jobs[\"$id\"].executables |= ($filter)" "$meta"
        launch run sim --native
        exits 125
        says "$id"
        absent "$(repx_of "$id")/SUCCESS"
    done
}

@test "images of a lab: broken manifest, missing layer, wrong digest" {
    local image layer
    image=$(echo "$LAB"/images/*)
    for text in '' '[]' '{}' '[{"Layers":["../../../etc/passwd"],"Config":"x"}]' '[{"Layers":[],"Config":"x"}]' '[{'; do
        printf '%s' "$text" >"$image/manifest.json"
        launch run "$id" --no-verify-lab
        refused 125 "$image"
        absent "$BASE/outputs"
    done
    cp "$FILES"/lab-lab/images/*/manifest.json "$image/"
    layer=$(echo "$LAB"/store/*-layer.tar | cut -d' ' -f1)
    mv "$layer" "$T/layer"
    launch run "$id" --no-verify-lab
    refused 125 layer.tar
    absent "$BASE/outputs"
    # found out while it is read: the job was tried, and failed
    cp "$T/layer" "$layer"
    printf X | dd of="$layer" bs=1 seek=200000 conv=notrunc 2>/dev/null
    launch run "$id" --no-verify-lab
    refused 125 sha256:
    [[ -z $(find "$LOCAL/repx/store-v1/rootfs" "$LOCAL/repx/store-v1/tmp" -mindepth 1) ]]
    [[ ! -e $(repx_of "$id")/SUCCESS ]]
    cp "$T/layer" "$layer"
    ok run "$id"
}

@test "a packed lab: truncated, not a lab, several directories" {
    tar -C "$T" -cf "$T/lab.tar" lab
    REPX_LAB=$T/lab.tar ok list
    [[ $out == 'run sim: 2 jobs'* ]] || show
    head -c 100000 "$T/lab.tar" >"$T/half.tar"
    REPX_LAB=$T/half.tar bad "$T/half.tar"
    mkdir "$T/more"
    tar -C "$T" -cf "$T/two.tar" lab more
    REPX_LAB=$T/two.tar bad 'not one directory'
    tar -C "$T" -cf "$T/other.tar" more
    REPX_LAB=$T/other.tar bad lab
}

@test "configuration: unknown keys, bad values, long lines: file and line" {
    local file=$T/bad.ini line
    while read -r line; do
        printf '[targets.local]\nbase_path = "/x"\n%s\n' "$line" >"$file"
        launch config --config "$file"
        refused 125 "$file:3"
    done <<'LINES'
nosuchkey = 1
mount_host_paths = maybe
mount_paths = ["relative"]
mount_paths = ["/a"
grace = "soon"
cache_max_size = "much"
network = "wifi"
env_pass = ["A B"]
[nosuchsection]
no equals sign
base_path = "unfinished
LINES
    printf '[targets.local]\nbase_path = "/%s"\n' "$(printf 'x%.0s' {1..100000})" >"$file"
    launch config --config "$file"
    refused 125 "$file:2"
    printf '[targets.local]\nbase_path = "/a\033[31mb"\nnosuch\033key = 1\n' >"$file"
    launch config --config "$file"
    refused 125 "$file:"
    launch config --config "$T/nosuch.ini"
    refused 125 "$T/nosuch.ini"
    launch config --config "$T"
    refused 125 "$T"
    launch config --target nosuch
    refused 125 nosuch
}

@test "base path and node-local path: not writable, a file, somebody else's" {
    : >"$T/file"
    REPX_BASE_PATH=$T/file/store launch run "$id"
    refused 125 "$T/file"
    REPX_NODE_LOCAL_PATH=$T/file launch run "$id"
    refused 125 "$T/file"
    absent "$BASE/outputs"
    mkdir "$T/open"
    chmod 0777 "$T/open"
    REPX_NODE_LOCAL_PATH=$T/open/local launch run "$id"
    refused 125 "$T/open"
    mkdir "$T/mine" "$T/linked" "$T/theirs"
    ln -s "$T/mine" "$T/linked/repx"
    REPX_NODE_LOCAL_PATH=$T/linked launch run "$id"
    refused 125 "$T/linked/repx" 'symbolic link'
    if [[ $(id -u) -eq 0 ]]; then
        chown nobody "$T/theirs"
        REPX_NODE_LOCAL_PATH=$T/theirs launch run "$id"
        refused 125 "$T/theirs"
    fi
    absent "$BASE/outputs"
}

@test "an output directory that is none" {
    ok run "$id"
    rm -rf "${BASE:?}/outputs/$id/out"
    : >"$BASE/outputs/$id/out"
    launch run "$id"
    refused 125 "$(out_of "$id")"
}
