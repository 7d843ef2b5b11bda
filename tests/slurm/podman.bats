#!/usr/bin/env bats
# repx-launch --podman inside an sbatch job, as an unprivileged user: the container lives in
# the job, ends with it, and leaves nothing. The nodes have the pure cgroup v2 layout,
# which crun needs.

load helpers

setup_file() {
    sandbox_start --nodes 1 --cpus 4 --conf 'KillWait=20'
    cp "$BUILD/src/repx-podman-hook" "$SHARED/bin/"
    sed 's/--bwrap/--podman/' "$SHARED/job.sh" >"$SHARED/podman.sh"
    chmod 0755 "$SHARED/podman.sh"
    podman_nodes
}

teardown_file() {
    sandbox_stop
}

setup() {
    SUBMIT_SCRIPT=$SHARED/podman.sh
    TEST_BASE=$SHARED/store-$BATS_TEST_NUMBER
    export TEST_BASE
}

@test "a producer and its consumer in podman: artifacts, markers, record" {
    local consumer producer id
    make_lab chain --sweep 1 --stages 2 --probe
    consumer=$(jobs_of "$LAB" sim stage-B)
    producer=$(producer_of "$LAB" sim "$consumer")
    id=$(submit -- sim --lab "$LAB")
    finish "$id" 120
    ended_as "$id" COMPLETED 0:0
    marked "$producer" SUCCESS
    marked "$consumer" SUCCESS
    [[ $(record "$consumer" .runtime.name) == podman ]]
    [[ $(record "$consumer" .slurm.SLURM_JOB_ID) == "$id" ]]
    [[ $(tr '\n' ' ' <"$(out_dir "$consumer")/numbers.txt") == '2 4 6 8 10 ' ]]
    [[ $(cat "$(out_dir "$consumer")/probe.id") == *"repx-sandbox"* ]]
    [[ $(stat -c %U "$(out_dir "$consumer")/numbers.txt") == repx-sandbox ]]
    no_container
}

@test "scancel: the job in the container has its grace, FAIL is written, nothing is left" {
    local id job
    make_lab trap --sweep 1 --stages 1 --sleep '0
trap "echo trapped; exit 9" TERM
echo ready
while :; do sleep 0.05 || :; done'
    job=$(jobs_of "$LAB" sim stage-A)
    id=$(submit -- "$job" --lab "$LAB")
    await 120 grep -qs ready "$(repx_dir "$job")/stdout.log"
    as_user scancel "$id"
    finish "$id" 120
    [[ $(job_field "$id" JobState) == CANCELLED ]]
    marked "$job" FAIL
    grep -qx trapped "$(repx_dir "$job")/stdout.log"
    [[ $(record "$job" .exit.cancelled_by) -eq 15 ]]
    await 30 no_container
}
