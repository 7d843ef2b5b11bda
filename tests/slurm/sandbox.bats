#!/usr/bin/env bats
# scripts/slurm-sandbox itself: what it gives, and that nothing of it is left.

load helpers

setup() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/repx-test.XXXXXX")
    chmod 0755 "$scratch"
}

teardown() {
    # A test that failed half-way may have left one.
    if [[ -e $scratch/s/run/slurm-sandbox ]]; then
        "$SCRIPTS/slurm-sandbox" down --dir "$scratch/s"
    fi
    rm -rf "$scratch"
}

sandbox() {
    "$SCRIPTS/slurm-sandbox" "$@"
}

@test "run gives CMD's exit code and leaves nothing" {
    run sandbox run --dir "$scratch/s" -- sh -c 'exit 7'
    [[ $status -eq 7 ]]
    nothing_left "$scratch/s"
}

@test "CMD is an unprivileged user with SLURM_CONF, and srun works" {
    run sandbox run --dir "$scratch/s" --nodes 3 -- \
        sh -c 'id -un; srun -Q -N3 -n3 sh -c "echo \$SLURMD_NODENAME" | sort'
    [[ $status -eq 0 && $output == $'repx-sandbox\nn1\nn2\nn3' ]]
}

@test "each node has a disk of its own at the same path" {
    # shellcheck disable=SC2016 # for the inner shell
    run sandbox run --dir "$scratch/s" -- sh -c '
        srun -Q -w n1 touch "$REPX_SANDBOX_LOCAL/of-n1"
        srun -Q -w n1 ls "$REPX_SANDBOX_LOCAL"
        srun -Q -w n2 ls "$REPX_SANDBOX_LOCAL"
        ls "$REPX_SANDBOX_LOCAL"'
    echo "$output"
    [[ $status -eq 0 && $output == of-n1 ]]
}

@test "the working directory stays, unless the user may not get there" {
    mkdir -p "$scratch/open" "$scratch/closed/inner"
    chmod 0700 "$scratch/closed"
    cd "$scratch/open"
    run sandbox run --dir "$scratch/s" -- pwd
    [[ $output == "$scratch/open" ]]
    cd "$scratch/closed/inner"
    run sandbox run --dir "$scratch/s" -- pwd
    [[ $output == "$scratch/s/shared" ]]
}

@test "standard input reaches CMD" {
    run sandbox run --dir "$scratch/s" -- cat <<<"from here"
    [[ $output == "from here" ]]
}

@test "down ends jobs that ignore SIGTERM and daemons that jobs left behind" {
    sandbox up --dir "$scratch/s" --watch $$ >/dev/null
    sandbox exec --dir "$scratch/s" -- sbatch -o /dev/null \
        --wrap 'trap "" TERM; while :; do sleep 1; done'
    # shellcheck disable=SC2016 # for the inner shell
    sandbox exec --dir "$scratch/s" -- srun sh -c '
        env -i setsid sh -c "while :; do sleep 1; done" >/dev/null 2>&1 &
        echo started'
    sandbox down --dir "$scratch/s"
    nothing_left "$scratch/s"
}

# interrupted SIGNAL CODE: `run` ends with that code, and leaves nothing.
interrupted() {
    local pid status=0
    env --default-signal=INT "$SCRIPTS/slurm-sandbox" run --dir "$scratch/s" -- \
        sh -c 'sbatch -o /dev/null --wrap "sleep 300"; : >"$REPX_SANDBOX_SHARED/ready"; sleep 300' \
        >/dev/null 2>&1 3>&- &
    pid=$!
    await 30 test -e "$scratch/s/shared/ready"
    kill -s "$1" "$pid"
    wait "$pid" || status=$?
    [[ $status -eq $2 ]] || { echo "status $status"; return 1; }
    nothing_left "$scratch/s"
}

@test "SIGINT to run: nothing left" {
    interrupted INT 130
}

@test "SIGTERM to run: nothing left" {
    interrupted TERM 143
}

@test "several at once" {
    local i pids=()
    for i in 1 2 3; do
        sandbox run --dir "$scratch/s$i" -- srun -N2 -n2 true 3>&- &
        pids+=($!)
    done
    for i in 0 1 2; do
        wait "${pids[i]}"
        nothing_left "$scratch/s$((i + 1))"
    done
}

@test "--watch: it ends with its owner, even by SIGKILL" {
    local owner
    sleep 300 3>&- &
    owner=$!
    sandbox up --dir "$scratch/s" --watch "$owner" >/dev/null
    kill -KILL "$owner"
    gone() { nothing_left "$scratch/s" >/dev/null; }
    SHARED=$scratch await 20 gone
}

@test "a configuration that Slurm refuses: its words are shown, nothing is left" {
    run sandbox up --dir "$scratch/s" --conf 'NoSuchKey=1'
    [[ $status -eq 1 && $output == *NoSuchKey* && $output == *'did not start'* ]]
    nothing_left "$scratch/s"
}

@test "refuses directories that are not its own" {
    mkdir "$scratch/mine"
    touch "$scratch/mine/file"
    run sandbox up --dir "$scratch/mine"
    [[ $status -eq 1 && $output == *'is not empty'* ]]
    run sandbox down --dir "$scratch/mine"
    [[ $status -eq 1 && $output == *'no sandbox in'* ]]
    [[ -e $scratch/mine/file ]]
}

@test "wrong options are refused" {
    local args
    for args in '--nodes 0' '--nodes x' '--cpus -1' '--plugstack /nonexistent' '--bogus 1' \
        '--user root' '--watch 999999999'; do
        # shellcheck disable=SC2086 # two words
        run sandbox up --dir "$scratch/s" $args
        [[ $status -eq 1 ]] || { echo "$args: $status"; return 1; }
        [[ ! -e $scratch/s/slurm.conf ]]
        rm -rf "$scratch/s"
    done
}

@test "scripts/bench-step measures every row, and leaves nothing" {
    TMPDIR=$scratch run "$SCRIPTS/bench-step" --build "$BUILD" --rounds 1 --json
    [[ $status -eq 0 ]] || { echo "$output"; return 1; }
    jq -e 'keys == ["1 tasks", "32 tasks", "64 tasks", "8 tasks", "CPU", "cold", "idle"] and
        all(.[][]; . > 0)' <<<"${lines[-1]}"
    [[ -z $(ls -A "$scratch") ]]
}
