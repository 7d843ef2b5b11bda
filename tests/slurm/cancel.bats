#!/usr/bin/env bats
# How a running job ends before its time: scancel, signals, the time limit. Each time the
# marker and the record are written, the log is complete, and no process is left.

load helpers

setup_file() {
    sandbox_start --nodes 1 --cpus 8 --conf 'KillWait=20'
}

teardown_file() {
    sandbox_stop
}

setup() {
    TEST_BASE=$SHARED/store-$BATS_TEST_NUMBER
    export TEST_BASE
}

# start_job LAB-NAME SLEEP SBATCH-OPTIONS...: one job that runs the shell text SLEEP; returns
# when its script has begun. Sets JOB and ID.
start_job() {
    local name=$1 sleep=$2
    shift 2
    make_lab "$name" --sweep 1 --stages 1 --sleep "$sleep"
    JOB=$(jobs_of "$LAB" sim stage-A)
    ID=$(submit "$@" -- "$JOB" --lab "$LAB")
    await 60 grep -qs ready "$(repx_dir "$JOB")/stdout.log"
}

# job_gone JOB: no process has the job's output directory on its command line, as its script
# has. (The id alone is that of every lab made alike.)
job_gone() {
    # shellcheck disable=SC2062 # file names, not the pattern
    ! out_dir "$1" | grep -qF -f - /proc/[0-9]*/cmdline 2>/dev/null
}

@test "scancel: the job's trap runs, FAIL is written, nothing is left" {
    start_job trap '0
trap "echo trapped; exit 9" TERM
echo ready
while :; do sleep 0.05 || :; done'
    as_user scancel "$ID"
    finish "$ID"
    [[ $(job_field "$ID" JobState) == CANCELLED ]]
    marked "$JOB" FAIL
    grep -qx trapped "$(repx_dir "$JOB")/stdout.log"
    [[ $(record "$JOB" .exit.cancelled_by) -eq 15 ]]
    [[ $(record "$JOB" .exit.killed_after_grace) == null ]]
    grep -qF '"s":"fail"' "$TEST_BASE/outputs/completions.jsonl"
    await 10 job_gone "$JOB"
}

@test "scancel of a job that ignores SIGTERM: killed after its grace, FAIL is written" {
    REPX_GRACE=2
    export REPX_GRACE
    start_job stubborn '0
trap "" TERM
echo ready
while :; do sleep 1 || :; done'
    as_user scancel "$ID"
    finish "$ID"
    marked "$JOB" FAIL
    [[ $(record "$JOB" .exit.killed_after_grace) == true ]]
    await 10 job_gone "$JOB"
}

@test "scancel of a script that does not exec: FAIL and the record are there all the same" {
    local script=$SHARED/no-exec.sh
    { sed 's/^exec //' "$SHARED/job.sh" && echo 'echo not reached'; } >"$script"
    chmod +x "$script"
    SUBMIT_SCRIPT=$script start_job noexec '0
trap "sleep 30 & wait; exit 9" TERM
echo ready
while :; do sleep 0.05 || :; done'
    as_user scancel "$ID"
    finish "$ID"
    marked "$JOB" FAIL
    [[ $(record "$JOB" .exit.cancelled_by) -eq 15 ]]
    [[ $(grep -cF '"s":"fail"' "$TEST_BASE/outputs/completions.jsonl") -eq 1 ]]
    # what is left has KillWait, or the grace
    await 60 job_gone "$JOB"
}

@test "scancel of a whole run: what ran is FAIL, what waited has no marker" {
    local first second
    make_lab run --sweep 1 --stages 2 --sleep '0; echo ready; sleep 300'
    second=$(jobs_of "$LAB" sim stage-B)
    first=$(producer_of "$LAB" sim "$second")
    ID=$(submit -- sim --lab "$LAB")
    await 60 grep -qs ready "$(repx_dir "$first")/stdout.log"
    as_user scancel "$ID"
    finish "$ID"
    marked "$first" FAIL
    [[ ! -e $(repx_dir "$second")/FAIL && ! -e $(out_dir "$second")/numbers.txt ]]
    await 10 job_gone "$first"
}

@test "scancel --signal=USR1 reaches the job, which goes on" {
    start_job usr1 '0
n=0
trap "n=1" USR1
echo ready
while [ $n = 0 ]; do sleep 0.05; done
echo got USR1'
    as_user scancel --signal=USR1 --batch "$ID"
    finish "$ID"
    ended_as "$ID" COMPLETED 0:0
    grep -qx 'got USR1' "$(repx_dir "$JOB")/stdout.log"
    marked "$JOB" SUCCESS
}

@test "a job that cleans up and exits by itself on SIGTERM has its own exit code in the record" {
    start_job exits '0
trap "echo saved; exit 42" TERM
echo ready
while :; do sleep 0.05 || :; done'
    as_user scancel --signal=TERM --batch "$ID"
    finish "$ID"
    marked "$JOB" FAIL
    [[ $(record "$JOB" .exit.code) -eq 42 ]]
    ended_as "$ID" FAILED 42:0
    grep -qx saved "$(repx_dir "$JOB")/stdout.log"
}

@test "the time limit: the job gets its grace, FAIL is written, Slurm says TIMEOUT" {
    start_job limit '0
trap "echo out of time; exit 9" TERM
echo ready
while :; do sleep 0.05 || :; done' --time=1
    finish "$ID" 150
    [[ $(job_field "$ID" JobState) == TIMEOUT ]]
    marked "$JOB" FAIL
    grep -qx 'out of time' "$(repx_dir "$JOB")/stdout.log"
    await 10 job_gone "$JOB"
}
