#!/usr/bin/env bats
# repx-launch run inside sbatch jobs on two nodes: what is shared, what is per node, and what
# Slurm learns.

load helpers

setup_file() {
    sandbox_start --nodes 2 --cpus 8
}

teardown_file() {
    sandbox_stop
}

setup() {
    TEST_BASE=$SHARED/store-$BATS_TEST_NUMBER
    export TEST_BASE
}

@test "a producer on one node, its consumer on the other, the artifact read-only" {
    local consumer producer first second point
    make_lab chain --sweep 1 --stages 2 --probe
    consumer=$(jobs_of "$LAB" sim stage-B)
    producer=$(producer_of "$LAB" sim "$consumer")
    first=$(submit -w n1 -- "$producer" --lab "$LAB")
    second=$(submit -w n2 --kill-on-invalid-dep=yes --dependency="afterok:$first" -- "$consumer" --lab "$LAB")
    finish "$second"
    ended_as "$first" COMPLETED 0:0
    ended_as "$second" COMPLETED 0:0
    [[ $(record "$producer" .slurm.SLURMD_NODENAME) == n1 ]]
    [[ $(record "$consumer" .slurm.SLURMD_NODENAME) == n2 ]]
    [[ $(record "$consumer" .slurm.SLURM_JOB_ID) == "$second" ]]
    marked "$producer" SUCCESS
    marked "$consumer" SUCCESS
    [[ $(tr '\n' ' ' <"$(out_dir "$consumer")/numbers.txt") == '2 4 6 8 10 ' ]]
    # From inside: the producer's output is a read-only mount at the path it has outside.
    point=$(awk -v p="$(out_dir "$producer")" 'index($5, p) == 1 { print $6 }' \
        "$(out_dir "$consumer")/probe.mountinfo")
    [[ ,$point, == *,ro,* ]] || { echo "mounted: '$point'"; return 1; }
    [[ $(cat "$(out_dir "$consumer")/probe.id") == *"repx-sandbox"* ]]
}

@test "a whole run in one sbatch, in dependency order, then the run that depends on it" {
    local id other job
    make_lab whole --sweep 3 --stages 3 --inter-run
    id=$(submit -w n1 -- sim --lab "$LAB")
    other=$(submit -w n2 --kill-on-invalid-dep=yes --dependency="afterok:$id" -- analysis --lab "$LAB")
    finish "$other"
    ended_as "$id" COMPLETED 0:0
    ended_as "$other" COMPLETED 0:0
    for job in $(jobs_of "$LAB" sim stage) $(jobs_of "$LAB" analysis stage); do
        marked "$job" SUCCESS
    done
    # 3 jobs of stage C, each 4 times the numbers of its stage A.
    run sh -c "cat '$TEST_BASE'/outputs/*stage-C*/out/numbers.txt | sort -n | tr '\n' ' '"
    [[ $output == '4 8 8 12 12 12 16 16 16 20 20 20 24 24 28 ' ]]
    [[ $(grep -c '"ok"' "$TEST_BASE/outputs/completions.jsonl") -eq 10 ]]
}

@test "an array of tasks that start together: one extraction on each node" {
    local id node jobs job nodes extracted
    make_lab array --sweep 8 --stages 1 --layers 12 --filler-files 50 --stage-version 2.1
    mapfile -t jobs < <(jobs_of "$LAB" sim stage-A)
    [[ ${#jobs[@]} -eq 8 ]]
    cat >"$SHARED/array.sh" <<ARRAY
#!/bin/sh
set -- ${jobs[*]}
shift "\$SLURM_ARRAY_TASK_ID"
TEST_LOCAL=$LOCAL/array-%u TEST_BASE=$TEST_BASE exec $SHARED/job.sh "\$1" --lab $LAB
ARRAY
    id=$(as_user sbatch --parsable --array=0-7 --cpus-per-task=2 \
        -o "$SHARED/slurm-%A_%a.out" "$SHARED/array.sh")
    finish "$id"
    for job in "${jobs[@]}"; do
        marked "$job" SUCCESS
    done
    nodes=$(for job in "${jobs[@]}"; do record "$job" .slurm.SLURMD_NODENAME; done | sort -u)
    [[ $nodes == $'n1\nn2' ]]
    for node in n1 n2; do
        extracted=0
        for job in "${jobs[@]}"; do
            [[ $(record "$job" .slurm.SLURMD_NODENAME) == "$node" &&
                $(record "$job" .image.extracted) == true ]] && extracted=$((extracted + 1))
        done
        [[ $extracted -eq 1 ]] || { echo "$extracted extractions on $node"; return 1; }
    done
    [[ $(for job in "${jobs[@]}"; do record "$job" .slurm.SLURM_ARRAY_JOB_ID; done | sort -u) == "$id" ]]
    # The next job on that node extracts nothing.
    TEST_LOCAL=$LOCAL/array-%u
    export TEST_LOCAL
    id=$(submit -w n1 -- --rerun "${jobs[0]}" --lab "$LAB")
    finish "$id"
    ended_as "$id" COMPLETED 0:0
    [[ $(record "${jobs[0]}" .image.extracted) == false ]]
}

@test "tasks of one srun step that start together share the extraction, too" {
    local id jobs job extracted=0
    make_lab step --sweep 4 --stages 1 --layers 8 --stage-version 2.2
    mapfile -t jobs < <(jobs_of "$LAB" sim stage-A)
    cat >"$SHARED/step.sh" <<STEP
#!/bin/sh
set -- ${jobs[*]}
shift "\$SLURM_PROCID"
TEST_LOCAL=$LOCAL/step-%u TEST_BASE=$TEST_BASE exec $SHARED/job.sh "\$1" --lab $LAB
STEP
    chmod 0755 "$SHARED/step.sh"
    run as_user srun -w n1 -n4 "$SHARED/step.sh"
    [[ $status -eq 0 ]] || { echo "$output"; return 1; }
    for job in "${jobs[@]}"; do
        marked "$job" SUCCESS
        [[ $(record "$job" .image.extracted) == false ]] || extracted=$((extracted + 1))
    done
    [[ $extracted -eq 1 ]]
}

@test "a job's own exit code reaches Slurm; its dependents do not start" {
    local consumer producer first second
    make_lab failing --sweep 1 --stages 2 --fail-stage 0 --fail-value 0 --fail-code 3
    consumer=$(jobs_of "$LAB" sim stage-B)
    producer=$(producer_of "$LAB" sim "$consumer")
    first=$(submit -- "$producer" --lab "$LAB")
    second=$(submit --kill-on-invalid-dep=yes --dependency="afterok:$first" -- "$consumer" \
        --lab "$LAB")
    finish "$first"
    finish "$second"
    ended_as "$first" FAILED 3:0
    [[ $(job_field "$second" JobState) == CANCELLED ]]
    marked "$producer" FAIL
    grep -q 'deliberate failure' "$(repx_dir "$producer")/stderr.log"
    [[ $(record "$producer" .exit.code) -eq 3 ]]
    [[ ! -e $(repx_dir "$consumer") ]]
    [[ $(cat "$TEST_BASE/outputs/completions.jsonl") == "{\"id\":\"$producer\",\"s\":\"fail\"}" ]]
}

@test "a consumer whose producer has not run: a sentence, no start, no marker" {
    local consumer producer id
    make_lab early --sweep 1 --stages 2
    consumer=$(jobs_of "$LAB" sim stage-B)
    producer=$(producer_of "$LAB" sim "$consumer")
    id=$(submit -- "$consumer" --lab "$LAB")
    finish "$id"
    ended_as "$id" FAILED 125:0
    grep -q "${producer:0:12}" "$SHARED/slurm-${id}"_*.out
    [[ ! -e $(out_dir "$consumer")/numbers.txt ]]
    [[ ! -e $(repx_dir "$consumer")/SUCCESS ]]
}
