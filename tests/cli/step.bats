#!/usr/bin/env bats
# repx-launch step, without Slurm: step_host.py plays slurmstepd, plugin and join program.
# shellcheck disable=SC2154 # out and err: of helpers.bash

load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$IMAGES" "$FILES/images"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    image=$FILES/images/docker.tar
}

teardown() {
    test_end
}

# step OPTIONS OF step_host.py -- OPTIONS OF THE STEP: as step_host.
step() {
    local STEP_HOST=("$SOURCE/tests/step_host.py") STEP_OPTIONS=()
    step_host "$@"
}

# answered EXPRESSION...: each jq expression holds for the answer.
answered() {
    local expression
    for expression; do
        jq -e "$expression" <<<"$answer" >/dev/null || show "answer: $answer" "expected: $expression"
    done
}

fails_with() {
    answered '.phase == "failed"' '.exit_code == 125' '.status == 0' '.descriptors == 0'
    [[ $(jq -r .error <<<"$answer") == *"$1"* ]] || show "answer: $answer" "expected: $1"
}

@test "the tasks of a step enter one sandbox, and no process holds it open" {
    step --join 'echo one >/dev/shm/mark; echo "$PATH:$HOME"; test ! -e /root && touch /x' \
        --join 'cat /dev/shm/mark /data/keep; readlink /proc/self/ns/net' -- "--image=$image"
    answered '.phase == "ready"' '.isolated == 1' '.status == 0' '.namespace | length >= 4'
    [[ $status -ne 0 ]] # of touch /x
    [[ $err == *"Read-only file system"* ]] || show "the root is writable"
    [[ $out == *"one"* && $out != *"$(readlink /proc/self/ns/net)"* ]] || show "not one sandbox"
    run pgrep -f "$LOCAL"
    [[ -z $output ]] || show "left: $output"
}

@test "the image stays in use as long as the queue lives, then it can be pruned" {
    step --run "'$LAUNCH' cache prune --all" --join 'cat /data/keep' -- "--image=$image"
    [[ $status -eq 0 ]] || show "the image was taken away"
    answered '.descriptors == (.namespace | length) + 1'
    ok cache prune --all
    ok cache list --json
    [[ $(jq length <<<"$out") -eq 0 ]] || show "not pruned"
}

@test "the answer tells environment, pass list and directory" {
    step -- "--image=$image" --env=A=1 --env=B
    answered '.env_set == ["A=1", "B"]' '.pass | index("SLURM_*") != null' \
        '.env | index("HOME=/tmp") != null' '.cwd == null' '.cwd_fallback != null'
    step -- "--image=$image" --workdir=/data
    answered '.cwd == "/data"'
    SLURM_X=1 PMI_RANK=3 step -- "--image=$image"
    answered '.env | map(select(test("SLURM|PMI"))) == []'
}

@test "REPX_ variables count, options of the step count more" {
    REPX_IMAGE=/no/such/image step -- "--image=$image"
    answered '.phase == "ready"'
    REPX_IMAGE=$image step --
    answered '.phase == "ready"'
    REPX_NETWORK=sideways step -- "--image=$image"
    fails_with "'sideways'"
}

@test "what is wrong is the answer, not a silence" {
    step --
    fails_with "name no image; give --repx-image"
    step -- --image=/no/such/image
    fails_with "/no/such/image"
    step -- --imagine=x
    fails_with "imagine"
    step --broken -- "--image=$image"
    answered '.status == 125'
    says "broken"
    launch step
    exits 2
    says "called by Slurm's plugin only"
}

@test "runtimes whose sandbox a task cannot enter" {
    step -- "--image=$image" --docker
    fails_with "cannot enter a sandbox of docker; use --repx-runtime=bwrap, or call repx-launch with --docker"
    cat >"$T/config/both.ini" <<INI
[targets.local]
base_path = $BASE
[targets.local.local]
execution_types = ["docker", "bwrap"]
[targets.local.slurm]
execution_types = ["docker", "bwrap"]
INI
    step -- "--image=$image" "--config=$T/config/both.ini"
    answered '.phase == "ready"' '.isolated == 1'
}

@test "native is used by name only, and leaves the task as it is" {
    step -- "--image=$image" --native --env=A=1
    answered '.phase == "ready"' '.isolated == 0' '.env == null' '.env_set == ["A=1"]' \
        '.namespace == null' '.descriptors == 0'
    says "no isolation"
}

@test "the site file that the plugin names has to be there and to be root's" {
    step --config "$T/missing.ini" -- "--image=$image"
    fails_with "$T/missing.ini"
    printf '[policy]\nallowed_runtimes = ["native"]\n' >"$T/site.ini"
    chmod 0666 "$T/site.ini"
    step --config "$T/site.ini" -- "--image=$image"
    fails_with "$T/site.ini"
}

@test "the site's policy binds steps" {
    printf '[policy]\nallowed_runtimes = ["native"]\n' >"$T/site.ini"
    step --config "$T/site.ini" -- "--image=$image"
    fails_with "$T/site.ini"
    # an ordinary user's file is refused as a site file already
    [[ $EUID -ne 0 ]] || fails_with "bwrap"
}

@test "a message that a dead maker has left is not taken for the sandbox" {
    step --stale --join 'cat /data/keep' -- "--image=$image"
    answered '.descriptors == (.namespace | length) + 1'
    [[ $status -eq 0 ]] || show "joined something else"
}

@test "an answer that is there is not made again" {
    step --phase 2 -- --image=/no/such/image
    answered '.phase == "ready"' '.isolated == null' '.status == 0'
}

@test "when no task waits any more, the extraction stops and leaves nothing" {
    step --tasks-gone -- "--image=$image"
    answered '.phase == "new"' '.status == 125' '.descriptors == 0'
    [[ -z $err ]] || show "who would read that?"
    run find "$LOCAL"/repx/store-v*/{tmp,rootfs,layers} -mindepth 1
    [[ $status -eq 0 ]] || show "the store's layout is another one: $output"
    [[ -z $output ]] || show "left: $output"
    step -- "--image=$image"
    answered '.phase == "ready"'
}

@test "the batch script is visible at its place in the spool" {
    mkdir -p "$T/spool/job7"
    echo 'echo from the script' >"$T/spool/job7/slurm_script"
    step --batch-script "$T/spool/job7/slurm_script" --join "sh $T/spool/job7/slurm_script; ls $T" \
        -- "--image=$image"
    [[ $out == "from the script"$'\n'"spool" ]] || show "not the script, or more than it"
}

# pmix_dir MODE-OF-DIR MODE-OF-PARENT NAME
pmix_dir() {
    mkdir -p "$T/slurmd/$3"
    echo data >"$T/slurmd/$3/segment"
    chmod "$1" "$T/slurmd/$3"
    chmod "$2" "$T/slurmd"
    export PMIX_SERVER_TMPDIR=$T/slurmd/$3/
}

@test "the PMIx server's directory is visible, another one under that name is not" {
    pmix_dir 0700 0755 pmix.7.0
    step --join "cat $T/slurmd/pmix.7.0/segment; echo w >$T/slurmd/pmix.7.0/new" -- "--image=$image"
    [[ $out == data && $(<"$T/slurmd/pmix.7.0/new") == w ]] || show "not shared"
    pmix_dir 0700 0755 pmix.8.0
    step --join "ls $T" -- "--image=$image"
    says "no directory that Slurm made"
    [[ $status -ne 0 ]] || show "visible"
    pmix_dir 0755 0755 pmix.7.0
    step --join "ls $T" -- "--image=$image"
    says "no directory that Slurm made"
    pmix_dir 0700 0777 pmix.7.0
    step --join "ls $T" -- "--image=$image"
    says "no directory that Slurm made"
    mv "$T/slurmd/pmix.7.0" "$T/slurmd/elsewhere"
    ln -s elsewhere "$T/slurmd/pmix.7.0"
    chmod 0755 "$T/slurmd"
    step --join "ls $T" -- "--image=$image"
    says "no directory that Slurm made"
}

@test "an MPI step sees the node's hardware, and with its network the fabric's devices" {
    step --join 'ls /sys' -- "--image=$image"
    [[ $status -ne 0 ]] || show "no step needs it"
    export SLURM_MPI_TYPE=pmi2
    step --join 'ls /sys/devices/system/cpu/online; touch /sys/x; mkdir /sys/fs/cgroup/x' -- "--image=$image"
    [[ $out == /sys/devices/system/cpu/online && $status -ne 0 ]] || show "not visible, or writable"
}

@test "the fabric's devices come with the host's network, for MPI" {
    [[ $EUID -eq 0 ]] || skip "only root can make another /dev"
    mkdir "$T/dev"
    export SLURM_MPI_TYPE=pmi2 T image
    # a /dev of this test alone, with two devices of that kind and one of another
    with_devices() {
        unshare --mount --propagation private bash -c '
            mount -t tmpfs tmpfs "$T/dev"
            mkdir "$T/dev/shm" "$T/dev/pts" "$T/dev/infiniband"
            for name in null zero full random urandom tty ptmx; do
                cp -a "/dev/$name" "$T/dev/"
            done
            cp -a /dev/null "$T/dev/infiniband/uverbs0"
            cp -a /dev/null "$T/dev/hfi1_0"
            cp -a /dev/null "$T/dev/other"
            mount --rbind /dev/pts "$T/dev/pts"
            mount --move "$T/dev" /dev
            exec "$@"' - "$SOURCE/tests/step_host.py" \
            --join 'ls /dev/infiniband /dev/hfi1_0; ls /dev/other || echo none' "$LAUNCH" \
            "--image=$image" "$@" 2>/dev/null | tail -n +2
    }
    [[ $(with_devices --network=host) == $'/dev/hfi1_0\n\n/dev/infiniband:\nuverbs0\nnone' ]] ||
        show "$(with_devices --network=host)"
    [[ $(with_devices) == none ]] || show "$(with_devices)"
}

@test "MPI tasks without a network are told of the option, others are not" {
    export SLURM_MPI_TYPE=pmix PMIX_RANK=0
    step --n-tasks 2 -- "--image=$image"
    says "an MPI program (pmix) needs --repx-network=host"
    step --n-tasks 2 -- "--image=$image" --network=host
    [[ -z $err ]] || show "advice that nobody needs"
    step --n-tasks 2 -- "--image=$image" --network=none
    [[ -z $err ]] || show "advice that nobody needs"
    step --n-tasks 1 -- "--image=$image"
    [[ -z $err ]] || show "advice that nobody needs"
    step --n-tasks 2 --n-nodes 2 --node-id 1 -- "--image=$image"
    [[ -z $err ]] || show "advice twice"
    unset PMIX_RANK
    export SLURM_MPI_TYPE=pmi2
    step --n-tasks 2 -- "--image=$image"
    [[ -z $err ]] || show "pmi2 on one node needs no network"
    step --n-tasks 2 --n-nodes 2 -- "--image=$image"
    says "an MPI program (pmi2) needs --repx-network=host"
}
