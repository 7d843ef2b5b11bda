#!/usr/bin/env bats
# --repx-gpus=auto on a real Slurm with GPUs that only look like it: what each task of a
# step sees of those that Slurm gave it.
# shellcheck disable=SC2154 # out: of helpers.bash

load helpers

setup_file() {
    local n
    plugin_start --nodes 1 --gpus 4
    podman_nodes
    "$SOURCE/tests/make_images.py" "$SHARED/images"
    mkdir "$PLUGIN/cdi"
    for n in 0 1 2 3; do
        printf '{"name": "%d", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia%d", "hostPath": "%s"}]}}\n' \
            "$n" "$n" "$SANDBOX/gpu/nvidia$n"
    done | jq -s '{cdiVersion: "0.5.0", kind: "nvidia.com/gpu", devices: .}' >"$PLUGIN/cdi/gpu.json"
    printf '[policy]\ncdi_dirs = ["%s"]\n' "$PLUGIN/cdi" >>"$PLUGIN/repx.ini"
    IMAGE=$SHARED/images/docker.tar
    export IMAGE
}

teardown_file() {
    sandbox_stop
}

setup() {
    cd "$SHARED" || return
    OUT=$BATS_TEST_TMPDIR/out ERR=$BATS_TEST_TMPDIR/err
    JOB=repx-gpus
}

teardown() {
    scancel --name "$JOB"
    nodes_up
}

# step SRUN-ARGUMENT...: what each task has: its GPU as Slurm counts on the node, the device
# files, its GPUs as they are counted inside.
step() {
    status=0
    as_user timeout 60 srun -J "$JOB" --repx-image="$IMAGE" --repx-gpus=auto --repx-quiet "$@" sh -c \
        'echo $SLURM_STEP_GPUS: $(ls -d /dev/nvidia* | sed s,/dev/nvidia,,) is $CUDA_VISIBLE_DEVICES' \
        </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(sort "$OUT") err=$(<"$ERR")
    ends 0
}

@test "a GPU for each task: all of the step's are there, and each task is told its own" {
    # somebody else has the first one
    as_user srun -J "$JOB" -n1 --gpus=1 sleep 600 &
    first_taken() {
        [[ $(as_user squeue -h -n "$JOB" -t R -o %A | wc -l) -eq 1 ]]
    }
    await 20 first_taken
    for runtime in bwrap podman; do
        step -n2 --gpus-per-task=1 --repx-runtime="$runtime"
        prints $'1: 1 2 is 0\n2: 1 2 is 1'
        step -n1 --gpus=3 --repx-runtime="$runtime"
        prints '1,2,3: 1 2 3 is 0,1,2'
    done
}
