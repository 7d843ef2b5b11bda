#!/usr/bin/env bats
# Steps in sandboxes on a real Slurm: what tasks share, how they end, what a cold start
# does, and that nothing is left whatever dies at whatever moment.
# shellcheck disable=SC2154 # status: of step

load helpers

setup_file() {
    plugin_start --nodes 2
    "$SOURCE/tests/make_images.py" "$SHARED/images"
    mkdir -p "$SHARED/ranks/bin"
    cp "$(command -v busybox)" "$SHARED/ranks/bin/"
    ln -s busybox "$SHARED/ranks/bin/sh"
    gcc -O1 -static -o "$SHARED/ranks/bin/ranks" "$BATS_TEST_DIRNAME/ranks.c"
    IMAGE=$SHARED/images/docker.tar
    export IMAGE
}

teardown_file() {
    sandbox_stop
}

setup() {
    cd "$SHARED" || return
    OUT=$BATS_TEST_TMPDIR/out ERR=$BATS_TEST_TMPDIR/err
    JOB=repx-$BATS_TEST_NUMBER
}

# programs: the processes of what the plugin has started, on either node.
programs() {
    local exe
    for exe in /proc/[0-9]*/exe; do
        [[ $(readlink "$exe" 2>/dev/null) != "$PLUGIN/${1:-}"* ]] || printf '%s\n' "${exe//[!0-9]/}"
    done
}

no_programs() {
    [[ -z $(programs) ]]
}

# Whatever a test did: no process of ours, no drained node.
teardown() {
    scancel --name "$JOB"
    await 20 no_programs
    nodes_up
}

# step SRUN-ARGUMENT...: as the user; sets status, out and err.
step() {
    status=0
    as_user srun -J "$JOB" --repx-image="$IMAGE" "$@" </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
}

# The number of a namespace is free again once its last process has ended: what is to be
# compared has to be alive at the same time. For sh -c, with the directory and how many.
MEET='echo $SLURM_STEP_ID $SLURM_NODEID $(readlink /proc/self/ns/mnt)
: >"$0/$SLURM_STEP_ID.$SLURM_PROCID"
i=0; until [ $(ls "$0" | wc -l) -ge "$1" ] || [ $((i += 1)) -gt 600 ]; do sleep 0.1; done'

# meeting NAME: a directory that all tasks see; sets M.
meeting() {
    M=$SHARED/meet-$1
    as_user mkdir "$M"
}

@test "one sandbox for each node and step" {
    meeting nodes
    step -N2 -n6 --repx-mount-path="$M:$M:rw" sh -c "$MEET" "$M" 6
    ends 0
    [[ $(wc -l <<<"$out") -eq 6 && $(sort -u <<<"$out" | wc -l) -eq 2 &&
        $(cut -d' ' -f3 <<<"$out" | sort -u | wc -l) -eq 2 ]] || show "not two sandboxes"
    [[ $out != *$(readlink /proc/self/ns/mnt)* ]] || show "the host's"
}

# The step's first process attaches many mounts, with rights that no task may have.
@test "a task finds many mounts, and can undo none" {
    local n mounts=$SHARED/undo:/data/bin how
    mkdir -p "$SHARED/undo" "$SHARED/many"
    cp "$BUILD/tests/undo-mounts" "$SHARED/undo/"
    for n in {1..20}; do
        mounts+=",$SHARED/many:/data/base/outputs/$n"
    done
    step -n1 --repx-mount-path="$mounts" cat /proc/self/mountinfo
    ends 0
    [[ $(grep -c ' /data/base/outputs\(/[0-9]*\)\? ro,nosuid,nodev[, ]' <<<"$out") -eq 21 ]] || show 'not attached'
    for how in '' --nested; do
        # shellcheck disable=SC2086
        step -n2 --repx-mount-path="$mounts" /data/bin/undo-mounts $how /tmp / /data/base/outputs /data/base/outputs/7
        ends 0
        [[ -z $out ]] || show "undone ${how:-in the sandbox}"
    done
    step -n1 --repx-mount-path="$mounts" grep -E '^(Cap|NoNewPrivs)' /proc/self/status
    [[ $(grep -c '^Cap.*:.0000000000000000$' <<<"$out") -eq 5 && $out == *NoNewPrivs:*1* ]] || show 'capabilities'
}

@test "tasks share /dev/shm and read each other's memory" {
    IMAGE=$SHARED/ranks step -N1 -n2 ranks
    ends 0
    [[ $(sort <<<"$out") == "rank 0 read 101"$'\n'"rank 1 read 100" ]] || show "not shared"
}

@test "exit codes and signals are the tasks' own" {
    local code
    for code in 0 1 2 77 125 126 127 255; do
        step -n1 sh -c "exit $code"
        ends "$code"
    done
    step -N2 -n2 sh -c 'exit $((3 + SLURM_PROCID))'
    ends 4
    step -n1 sh -c 'kill -9 $$'
    ends 137
    step -n1 sh -c 'kill -11 $$'
    ends 139
    step -n1 /data/keep
    ends 126
    step -n1 no-such-command
    ends 127
    [[ $err == *"repx: n"*"'no-such-command' is not there"* ]] || show "no sentence"
}

@test "input, output, labels, several programs, a terminal" {
    status=0
    echo a line | as_user srun -J "$JOB" --repx-image="$IMAGE" -n2 -N1 sh -c 'read x; echo "$x"; echo e >&2' \
        >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
    [[ $out == "a line"$'\n'"a line" && $err == "e"$'\n'"e" ]] || show "input or output"
    step -n2 -l sh -c 'echo $SLURM_PROCID'
    [[ $(sort <<<"$out") == "0: 0"$'\n'"1: 1" ]] || show "labels"
    printf '0 cat /data/keep\n1 cat /no/such/file\n' >"$SHARED/programs"
    step -n2 --multi-prog "$SHARED/programs"
    ends 1
    [[ $(wc -l <<<"$out") -eq 1 && $err == *"/no/such/file"* ]] || show "several programs"
    run as_user script -qec "srun -J $JOB --repx-image=$SHARED/ranks --pty busybox sh -c 'busybox tty; test -t 0 && echo yes'" /dev/null
    [[ $output == */dev/pts/*yes* ]] || { echo "$output"; return 1; }
}

@test "many tasks of one node, more than it has processors" {
    step -N1 -n128 --overcommit sh -c 'echo $SLURM_PROCID $(readlink /proc/self/ns/mnt)'
    ends 0
    [[ $(cut -d' ' -f1 <<<"$out" | sort -nu | wc -l) -eq 128 &&
        $(cut -d' ' -f2 <<<"$out" | sort -u | wc -l) -eq 1 ]] || show "not 128 tasks in one sandbox"
}

@test "a cold start of many tasks and steps extracts once a node" {
    local i
    step -N2 -n32 --overcommit --repx-verbose --repx-node-local-path="$LOCAL/cold-%u" cat /data/keep
    ends 0
    [[ $(wc -l <"$OUT") -eq 32 && $(grep -c 'the image was extracted' "$ERR") -eq 2 ]] ||
        show "not one extraction a node"
    as_user salloc -Q -J "$JOB" -N1 -n4 --overcommit sh -c 'for i in 1 2 3 4; do
        srun --overlap -n2 --repx-image="$0" --repx-verbose \
            --repx-node-local-path="$1" cat /data/keep & done; wait' \
        "$IMAGE" "$LOCAL/cold4-%u" >"$OUT" 2>"$ERR"
    out=$(<"$OUT") err=$(<"$ERR")
    [[ $(wc -l <"$OUT") -eq 8 && $(grep -c 'the image was there' "$ERR") -eq 3 &&
        $(grep -c 'the image was extracted' "$ERR") -eq 1 ]] || show "not one extraction for four steps"
}

@test "steps of a batch job: arrays, in parallel, overlapping" {
    local id i
    for i in 0 1; do
        meeting "array-$i"
    done
    cat >"$SHARED/steps.sh" <<'JOB'
#!/bin/sh
M=$MEETINGS-$SLURM_ARRAY_TASK_ID
test "$(readlink /proc/self/ns/mnt)" = "$HOST_MNT" && echo script on the host
for i in a b; do
    srun --exclusive -n1 --repx-mount-path="$M:$M:rw" sh -c "$MEET" "$M" 2 &
done
wait
srun --overlap -n2 sh -c 'cat /data/keep' &
srun --overlap -n2 sh -c 'exit 9' || echo nine
wait
JOB
    id=$(as_user env MEET="$MEET" MEETINGS="$SHARED/meet-array" HOST_MNT="$(as_user srun -Q -n1 readlink /proc/self/ns/mnt)" sbatch --parsable \
        -J "$JOB" -n2 -N1 -w n1 --array=0-1 --repx-image="$IMAGE" -o "$SHARED/steps-%a.out" "$SHARED/steps.sh")
    finish "$id"
    for i in 0 1; do
        run grep -cE "script on the host|nine" "$SHARED/steps-$i.out"
        [[ $output -eq 2 ]] || { cat "$SHARED/steps-$i.out"; return 1; }
        run grep -c 'mnt:' "$SHARED/steps-$i.out"
        [[ $output -eq 2 && $(grep -o 'mnt:.*' "$SHARED/steps-$i.out" | sort -u | wc -l) -eq 2 ]] ||
            { cat "$SHARED/steps-$i.out"; return 1; }
    done
}

@test "a batch job that is put back into the queue" {
    local id second
    cat >"$SHARED/again.sh" <<'JOB'
#!/bin/sh
srun sh -c 'echo run $SLURM_RESTART_COUNT'
[ -n "$SLURM_RESTART_COUNT" ] || { srun -n1 sh -c 'echo asleep; sleep 600'; sleep 600; }
JOB
    id=$(as_user sbatch --parsable -J "$JOB" --requeue --open-mode=append -n2 --repx-image="$IMAGE" \
        -o "$SHARED/again.out" "$SHARED/again.sh")
    # a script that ends by itself while the job is put back, as its step was ended or refused,
    # fails the job
    await 20 grep -qs asleep "$SHARED/again.out"
    scontrol requeue "$id"
    is_pending() {
        [[ $(job_field "$id" JobState) == PENDING ]]
    }
    await 20 is_pending
    # Slurm waits two minutes before it starts the job again, for what is left of it on the
    # node; this is shorter.
    await 60 no_slurmstepd_of "$id"
    # Not in the second in which slurmd has revoked its credential: it knows no less, and would
    # take the new one for that ("already killed, do not launch").
    second=$(date +%s)
    is_over() {
        [[ $(date +%s) -gt $second ]]
    }
    await 5 is_over
    scontrol update JobId="$id" StartTime=now
    finish "$id"
    ended_as "$id" COMPLETED 0:0
    [[ $(grep -c '^run 1$' "$SHARED/again.out") -eq 2 ]]
}

@test "--kill-on-bad-exit ends the other tasks" {
    step -N2 -n4 -K sh -c '[ "$SLURM_PROCID" = 3 ] && exit 6; sleep 600'
    [[ $status -ne 0 ]] || show "succeeded"
}

@test "two users at once on a node" {
    local other=$BATS_TEST_TMPDIR/other
    as_other_user srun -J "$JOB" -w n1 -n2 --repx-image="$IMAGE" sh -c 'id -u; sleep 1' >"$other" &
    step -w n1 -n2 sh -c 'id -u; sleep 1'
    wait $!
    ends 0
    [[ $(sort -u "$OUT") == "$(id -u repx-sandbox)" && $(sort -u "$other") == "$(id -u "$OTHER_USER")" ]] ||
        show "$(<"$other")"
}

@test "a node-local path that cannot be used, and a full one" {
    step -N2 -n4 --repx-node-local-path=/proc/nowhere cat /data/keep
    ends 125
    [[ $(grep -c '^repx: n[12]: .*/proc/nowhere' "$ERR") -eq 2 && -z $out ]] || show "not once a node"
    mkdir -p "$SHARED/full"
    mount -t tmpfs -o size=128k,mode=1777 tmpfs "$SHARED/full"
    step -n1 -w n1 --repx-node-local-path="$SHARED/full/%u" cat /data/keep
    umount "$SHARED/full"
    ends 125
    [[ $err == *"$SHARED/full"* && -z $out ]] || show "no sentence"
}

@test "the image is in use until the last task has ended" {
    local cache=("$PLUGIN/repx-launch" cache list --json --node-local-path "$LOCAL/use-%u")
    in_use() {
        [[ $(as_user srun -Q -w n1 -n1 --overlap "${cache[@]}" | jq '[.[] | select(.in_use)] | length') -eq $1 ]]
    }
    as_user srun -J "$JOB" -w n1 -n1 --repx-image="$IMAGE" --repx-node-local-path="$LOCAL/use-%u" \
        sleep 600 >/dev/null 2>&1 &
    await 20 in_use 1
    await 20 no_programs
    in_use 1
    scancel --name "$JOB"
    wait $! || true
    await 20 in_use 0
}

# hold_extraction NAME: nothing can be extracted below $COLD until release.
hold_extraction() {
    COLD=$SHARED/cold-$1
    as_user "$PLUGIN/repx-launch" image prepare "$IMAGE" --node-local-path "$COLD" >/dev/null
    local lock
    lock=$(echo "$COLD"/repx/store-v*/locks/rootfs-*.lock)
    rm -rf "$COLD"/repx/store-v*/{rootfs,layers}/*
    exec {HELD}<>"$lock"
    flock -x "$HELD"
}

release() {
    exec {HELD}>&-
}

# cold_step SRUN-ARGUMENT...: in the background, until it says that it waits. Sets SRUN.
cold_step() {
    as_user srun -J "$JOB" --repx-image="$IMAGE" --repx-node-local-path="$COLD" "$@" \
        </dev/null >"$OUT" 2>"$ERR" {HELD}>&- &
    SRUN=$!
    await 30 grep -q 'repx: n1: waiting for the extraction of' "$ERR"
}

# cold_end: of that srun; sets status, out and err.
cold_end() {
    status=0
    wait "$SRUN" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
}

@test "the time limit ends a step, and nothing is left" {
    local id running
    timed_out() {
        [[ $(job_field "$id" JobState) == TIMEOUT ]]
    }
    as_user srun -J "$JOB" -N2 -n4 --repx-image="$IMAGE" /bin/sh -c 'echo ready; sleep 600' \
        </dev/null >"$OUT" 2>"$ERR" &
    running=$!
    await 30 grep -q ready "$OUT"
    id=$(squeue -h -n "$JOB" -o %A)
    scontrol update "JobId=$id" EndTime=now+1
    status=0
    wait "$running" || status=$?
    [[ $status -ne 0 ]]
    grep -q 'DUE TO TIME LIMIT' "$ERR"
    await 20 timed_out
    await 10 no_programs
}

@test "a new slurmd: the step goes on, its sandbox is kept, the node takes new ones" {
    local running
    up_again() {
        [[ $(sinfo -h -N -n n1 -o %T) =~ ^(idle|mixed|allocated)$ ]]
    }
    as_user mkdir "$SHARED/restart"
    as_user srun -J "$JOB" -w n1 -n2 --repx-image="$IMAGE" \
        --repx-mount-path="$SHARED/restart:/go" /bin/sh -c \
        'echo ready; until [ -e /go/go ]; do sleep 0.1; done; cat /data/keep' \
        </dev/null >"$OUT" 2>"$ERR" &
    running=$!
    await 30 grep -q ready "$OUT"
    "$SCRIPTS/slurm-sandbox" restart --dir "$SANDBOX" --node n1
    await 30 as_user srun -J "$JOB" -w n1 -n1 --overlap --repx-image="$IMAGE" cat /data/keep \
        >/dev/null 2>&1
    as_user touch "$SHARED/restart/go"
    status=0
    wait "$running" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
    ends 0
    [[ $(grep -c . "$OUT") -ge 4 ]] || show "the tasks did not go on"
    await 20 no_programs
    await 20 up_again
}

@test "scancel during the extraction" {
    hold_extraction cancel
    cold_step -N2 -n4 cat /data/keep
    scancel --name "$JOB"
    cold_end
    await 10 no_programs
    release
    [[ $status -ne 0 && -z $out ]] || show "not cancelled"
    [[ -z $(find "$COLD"/repx/store-v*/{tmp,rootfs,layers} -mindepth 1) ]] || show "left files"
}

@test "how far the extraction is reaches the terminal" {
    hold_extraction progress
    cold_step -N1 -w n1 -n2 cat /data/keep
    release
    cold_end
    [[ $status -eq 0 ]] || show "no step"
    [[ $err =~ "repx: n1: extracting docker.tar: 0."[0-9]+" of 0."[0-9]+" GB" ]] || show "no numbers"
    [[ $err != *$'\r'* ]] || show "drawn over, in a log"
}

@test "SIGKILL of the task that has the sandbox made: the others get it" {
    local launcher
    hold_extraction first-task
    cold_step -N1 -w n1 -n4 cat /data/keep
    launcher=$(programs repx-launch)
    kill -9 "$(ps -o ppid= -p "$launcher" | tr -d ' ')"
    release
    cold_end
    [[ $status -eq 137 && $(wc -l <<<"$out") -eq 3 ]] || show "the others did not run"
}

@test "SIGKILL of the launcher: a task starts it again" {
    hold_extraction launcher
    cold_step -N1 -w n1 -n4 cat /data/keep
    kill -9 "$(programs repx-launch)"
    release
    cold_end
    [[ $status -eq 0 && $(wc -l <<<"$out") -eq 4 ]] || show "not made again"
}

# lab_step JOB SRUN-ARGUMENT...: in the sandbox of a job of $LAB; sets status, out and err.
lab_step() {
    status=0
    as_user srun -J "$JOB" --repx-lab="$LAB" --repx-job="$1" --repx-base-path="$BASE" "${@:2}" \
        </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
}

# run_as_step JOB STATE CODE: repx-launch run --srun in a batch job of four tasks on two nodes
# ends so; otherwise shows what the tasks said.
run_as_step() {
    local id
    id=$(as_user sbatch --parsable -J "$JOB" -N2 -n4 -o "$SHARED/slurm-%j.out" "$SHARED/job.sh" \
        "$1" --lab "$LAB" --srun)
    finish "$id"
    ended_as "$id" "$2" "$3" || {
        tail -n 20 "$SHARED/slurm-$id.out" "$(repx_dir "$1")/stderr.log"
        return 1
    }
}

# for_tasks: RepX's scripts clear $out first, which several tasks at once cannot do.
for_tasks() {
    chmod -R u+w "$LAB/jobs"
    grep -q '^find "$out"' "$LAB"/jobs/*/bin/*
    sed -i '/^find "$out"/d' "$LAB"/jobs/*/bin/*
    "$SOURCE/tests/repx_rules.py" reseal "$LAB"
}

@test "a step in the sandbox of a lab's job" {
    local first second
    make_lab job --sweep 1 --stages 2
    for_tasks
    first=$(jobs_of "$LAB" sim stage-A) second=$(jobs_of "$LAB" sim stage-B)
    lab_step "$second" -n1 repx-job
    ends 125
    [[ $err == *"run it first"* ]] || show "no sentence"
    lab_step "$first" -N2 -n3 sh -c 'pwd; ls "$1/outputs"' - "$BASE"
    ends 0
    [[ $(sort -u <<<"$out") == "$(printf '%s\n' "$(out_dir "$first")" "$first" | sort)" ]] ||
        show "it is somewhere else, or sees more than its own"
    lab_step "$first" -n2 repx-job
    ends 0
    [[ $(grep -c "^job script .* args: $(out_dir "$first") $(repx_dir "$first")/inputs.json" "$OUT") -eq 2 &&
        -s $(out_dir "$first")/numbers.txt ]] || show "not the job's script"
    [[ ! -e $(repx_dir "$first")/SUCCESS && ! -e $(repx_dir "$first")/launch.json ]]
    lab_step "$first" -n1 repx-job again
    ends 2
    lab_step no-such-job -n1 repx-job
    ends 125
    step -n1 sh -c 'PATH=$PATH:/run/repx/bin; repx-job'
    ends 127
}

@test "repx-launch run --srun: the script on every task, one outcome" {
    local job
    make_lab srun --sweep 1 --stages 2
    for_tasks
    job=$(jobs_of "$LAB" sim stage-A)
    run_as_step "$job" COMPLETED 0:0
    marked "$job" SUCCESS
    [[ $(grep -c "^job script" "$(repx_dir "$job")/stdout.log") -eq 4 ]]
    [[ $(record "$job" '[.runtime.name, .runtime.network, .exit.code] | join(" ")') == "bwrap none 0" ]]
    job=$(jobs_of "$LAB" sim stage-B)
    run_as_step "$job" COMPLETED 0:0
    marked "$job" SUCCESS
    make_lab srun-failing --sweep 1 --stages 1 --fail-stage 0 --fail-value 0 --fail-code 3
    for_tasks
    job=$(jobs_of "$LAB" sim stage-A)
    run_as_step "$job" FAILED 3:0
    marked "$job" FAIL
}

@test "two steps of a job at once: the second one is refused" {
    local job
    make_lab twice --sweep 1 --stages 1
    job=$(jobs_of "$LAB" sim stage-A)
    as_user srun -J "$JOB" --repx-lab="$LAB" --repx-job="$job" --repx-base-path="$BASE" -n1 \
        sh -c 'echo ready; sleep 600' >"$OUT-first" 2>&1 &
    await 20 grep -q ready "$OUT-first"
    lab_step "$job" -n1 repx-job
    ends 125
    [[ $err == *"running already (Slurm step"* ]] || show "no sentence"
    scancel --name "$JOB"
    wait $! || true
}
