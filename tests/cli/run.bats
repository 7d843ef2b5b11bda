#!/usr/bin/env bats
# repx-launch run: the job contract, many jobs, scatter-gather, signals.

load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$MAKE_LAB" --image unified --sweep 2 "$FILES/simple-lab" >/dev/null
    "$MAKE_LAB" --image unified --sweep 1 --scatter --branches 3 "$FILES/scatter-lab" >/dev/null
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    use_lab "$FILES/simple-lab"
}

teardown() {
    test_end
}

# own_lab NAME: a copy of a shared lab, for tests that change it.
own_lab() {
    cp -a "$FILES/$1" "$T/$1"
    use_lab "$T/$1"
}

# start ARGUMENT...: the launcher in the background; sets pid.
start() {
    "$LAUNCH" "$@" </dev/null >"$T/stdout" 2>"$T/stderr" &
    pid=$!
}

# ended: waits for the started launcher; sets status, out and err.
ended() {
    status=0
    wait "$pid" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

# waiting_job: the producer gets a script that tells when it runs and then waits; what it
# does on SIGTERM is on stdin. Sets id.
waiting_job() {
    own_lab simple-lab
    id=$(job stage-A 0)
    {
        printf '#!/bin/sh\nout=$1\n'
        cat
        printf 'echo before\n: >"$out/started"\nwhile :; do sleep 0.05; done\n'
    } | set_script "$id"
}

@test "a simple job leaves exactly RepX's tree" {
    local id
    id=$(job stage-A 1)
    ok run "$id"
    [[ -z $out ]]
    same "$(out_of "$id")/numbers.txt" $'2\n3\n4\n5\n6\n'
    succeeded "$id"
    same "$BASE/outputs/completions.jsonl" "{\"id\":\"$id\",\"s\":\"ok\"}"$'\n'
    [[ $(cd "$BASE/outputs/$id" && find . -type f -not -name '.*' | sort | tr '\n' ' ') == \
        './out/numbers.txt ./repx/SUCCESS ./repx/inputs.json ./repx/launch.json ./repx/parameters.json ./repx/stderr.log ./repx/stdout.log ' ]]
    same "$(repx_of "$id")/stdout.log" \
        "job script $LAB/jobs/$id/bin/stage-A-producer args: $(out_of "$id") $(repx_of "$id")/inputs.json $(repx_of "$id")/parameters.json"$'\n'
    same "$(repx_of "$id")/stderr.log" $'stderr line from stage-A-producer\n'
    none_left
}

@test "inputs.json and parameters.json are RepX's, byte for byte" {
    local producer consumer
    producer=$(job stage-A 1) consumer=$(job stage-B 1)
    ok run "$producer"
    ok run "$consumer"
    same "$(repx_of "$producer")/inputs.json" '{}'
    same "$(repx_of "$producer")/parameters.json" "$("$RULES" parameters "$LAB" "$producer")"
    same "$(repx_of "$consumer")/inputs.json" "$("$RULES" inputs "$LAB" "$consumer" "$BASE")"
    same "$(repx_of "$consumer")/parameters.json" "$("$RULES" parameters "$LAB" "$consumer")"
    same "$(out_of "$consumer")/numbers.txt" $'4\n6\n8\n10\n12\n'
}

@test "parameters of every JSON type keep it" {
    local id
    own_lab simple-lab
    id=$(job stage-A 0)
    edit ".jobs[\"$id\"].params += {zeta: [1, {b: null, a: true}], empty: [], none: {}, text: \"a\\\"b\\\\c\\né\", small: 0.25, big: 12345678901234567, neg: -0.5}" \
        revision/metadata-sim.json
    ok run "$id"
    same "$(repx_of "$id")/parameters.json" "$("$RULES" parameters "$LAB" "$id")"
}

@test "launch.json tells what ran, where, with what and for how long" {
    local id
    id=$(job stage-A 0)
    SLURM_JOB_ID=77 SECRET=hidden ok run "$id" --env SECRET
    [[ $(record "$id" .job) == "$id" ]]
    [[ $(record "$id" .unit) == simple ]]
    [[ $(record "$id" .lab) == "$LAB" ]]
    [[ $(record "$id" .lab_id) == simple ]]
    [[ $(record "$id" .runtime.name) == bwrap ]]
    [[ $(record "$id" .runtime.version) == "$(bwrap --version)" ]]
    [[ $(record "$id" .runtime.impure) == false ]]
    [[ $(record "$id" .runtime.network) == none ]]
    [[ $(record "$id" .node.kernel) == "$(uname -r)" ]]
    [[ $(record "$id" .node.host) == "$(uname -n)" ]]
    [[ $(record "$id" .node.user) == "$(id -un)" ]]
    [[ $(record "$id" .slurm.SLURM_JOB_ID) == 77 ]]
    [[ $(record "$id" .exit.code) == 0 ]]
    [[ $(record "$id" .exit.error) == null ]]
    [[ $(record "$id" .cwd) == "$(out_of "$id")" ]]
    [[ $(record "$id" '.command | join(" ")') == \
        "$(script "$id") $(out_of "$id") $(repx_of "$id")/inputs.json $(repx_of "$id")/parameters.json" ]]
    [[ $(record "$id" '.image.layers | join(" ")') == \
        "$(jq -r '.rootfs.diff_ids | join(" ")' "$LAB"/images/*/????????????????????????????????????????????????????????????????.json)" ]]
    [[ $(record "$id" '.environment | contains(["SECRET", "SLURM_JOB_ID", "PATH"])') == true ]]
    refute grep -q hidden "$(repx_of "$id")/launch.json"
    [[ $(record "$id" ".mounts[] | select(.dest == \"$(out_of "$id")\") | .kind, .role") == $'bind-rw\nout' ]]
    [[ $(record "$id" '.phases | [.wait_s, .extract_s, .setup_s, .run_s] | map(type == "number" and . >= 0) | all') == true ]]
    [[ $(record "$id" '.phases.run_s > 0 and .phases.extract_s > 0') == true ]]
    [[ $(record "$id" '.usage | .max_rss_kib > 0 and .user_s >= 0 and .system_s >= 0') == true ]]
    [[ $(record "$id" '.started <= .ended') == true ]]
}

@test "a job by prefix, an ambiguous one, an unknown one" {
    local id
    id=$(job stage-A 0)
    ok run "${id:0:12}"
    succeeded "$id"
    launch run stage-A-producer-1.1
    refused 125 'ambiguous' "$id" "$(job stage-A 1)"
    launch run nosuchjob
    refused 125 nosuchjob list
    make_lab "$T/many-lab" --image none --sweep 17 # more jobs than first characters
    id=$(jobs_of_run | cut -c1 | sort | uniq -d | head -n 1)
    launch run "$id" --native
    refused 125 ambiguous
}

@test "a rerun replaces logs and markers" {
    local id old
    id=$(job stage-A 0)
    ok run "$id"
    : >"$(repx_of "$id")/FAIL"
    echo more >>"$(repx_of "$id")/stdout.log"
    exec {old}<"$(repx_of "$id")/stdout.log"
    ok run "$id"
    succeeded "$id"
    [[ $(wc -l <"$(repx_of "$id")/stdout.log") -eq 1 ]]
    [[ $(tail -n 1 <&"$old") == more ]]
    exec {old}<&-
    [[ $(wc -l <"$BASE/outputs/completions.jsonl") -eq 2 ]]
}

@test "a run's jobs, two at a time, skipping what has succeeded; --rerun does not skip" {
    local id first before
    first=$(job stage-A 0)
    ok run "$first"
    before=$(stat -c %i "$(repx_of "$first")/launch.json")
    ok run sim -j 2
    for id in $(jobs_of_run); do succeeded "$id"; done
    same "$(out_of "$(job stage-B 0)")/numbers.txt" $'2\n4\n6\n8\n10\n'
    [[ $(stat -c %i "$(repx_of "$first")/launch.json") == "$before" ]]
    [[ $(wc -l <"$BASE/outputs/completions.jsonl") -eq 4 ]]
    says '3 succeeded, 0 failed, 0 not run, 1 had succeeded before'
    ok run sim -j 2
    says '0 succeeded, 0 failed, 0 not run, 4 had succeeded before'
    ok run sim -j 2 --rerun
    [[ $(wc -l <"$BASE/outputs/completions.jsonl") -eq 8 ]]
    none_left
}

@test "a completion log alone does not make a job done" {
    local id
    id=$(job stage-A 0)
    ok run "$id"
    scratch_remove "$BASE/outputs/$id"
    launch run "$(job stage-B 0)"
    refused 125 "$id" 'has not run'
    ok run sim
    succeeded "$id"
}

@test "two jobs of a run really run at the same time" {
    local a b
    own_lab simple-lab
    a=$(job stage-A 0) b=$(job stage-A 1)
    # each waits for the other, through a directory that both are given
    mkdir "$T/meet"
    for id in "$a:$b" "$b:$a"; do
        set_script "${id%:*}" <<JOB
#!/bin/sh
: >$T/meet/${id%:*}
n=0
until [ -e $T/meet/${id#*:} ]; do n=\$((n + 1)); [ \$n -lt 400 ] || exit 9; sleep 0.05; done
echo 1 >"\$1/numbers.txt"
JOB
    done
    ok run "$a" "$b" -j 2 --mount-path "$T/meet:$T/meet:rw"
    succeeded "$a"
    succeeded "$b"
}

@test "a failed job stops its dependents and nothing else; the code is the job's" {
    make_lab "$T/fail-lab" --image unified --sweep 2 --stages 3 --fail-stage 0 --fail-value 0 --fail-code 7
    launch run sim -j 2
    exits 7
    says "$(job stage-A 0)" 'failed with exit code 7' "$(job stage-C 0) was not run"
    failed "$(job stage-A 0)"
    [[ $(record "$(job stage-A 0)" .exit.code) == 7 ]]
    grep -q 'deliberate failure' "$(repx_of "$(job stage-A 0)")/stderr.log"
    not_run "$(job stage-B 0)"
    not_run "$(job stage-C 0)"
    succeeded "$(job stage-A 1)"
    succeeded "$(job stage-C 1)"
    launch run "$(job stage-A 0)"
    exits 7
    launch run "$(job stage-B 0)"
    refused 125 "$(job stage-A 0)" 'has failed'
    not_run "$(job stage-B 0)"
}

@test "a consumer before its producer: one sentence, nothing written" {
    launch run "$(job stage-B 0)"
    refused 125 "$(job stage-B 0)" "$(job stage-A 0)" 'has not run' "repx-launch run $(job stage-A 0)"
    absent "$BASE/outputs"
}

@test "a producer that succeeded without leaving its output: a warning, the job decides" {
    local runtime
    own_lab simple-lab
    ok run "$(job stage-A 0)"
    rm "$(out_of "$(job stage-A 0)")/numbers.txt"
    launch run "$(job stage-B 0)"
    exits 1
    says "$(out_of "$(job stage-A 0)")/numbers.txt" 'did not leave it'
    failed "$(job stage-B 0)"
    set_script "$(job stage-B 0)" <<<$'#!/bin/sh\n: >"$1/done"'
    for runtime in bwrap native; do
        ok run "$(job stage-B 0)" "--$runtime"
        exists "$(out_of "$(job stage-B 0)")/done"
    done
}

@test "exit code 128+n when a signal killed the job" {
    local id
    own_lab simple-lab
    id=$(job stage-A 0)
    set_script "$id" <<<$'#!/bin/sh\nkill -KILL $$'
    launch run "$id"
    exits 137
    failed "$id"
    [[ $(record "$id" .exit.code) == 137 && $(record "$id" .exit.signal) == 9 ]]
}

@test "scatter-gather: every file and marker of RepX, and the right sums" {
    local id branch step file
    use_lab "$FILES/scatter-lab"
    ok run sim -j 2
    id=$(job stage-S)
    succeeded "$id"
    same "$(out_of "$id")/sums.txt" $'4\n16\n36\n'
    same "$BASE/outputs/$id/scatter/out/work_items.json" '[{"startIndex":0},{"startIndex":1},{"startIndex":2}]'
    exists "$BASE/outputs/$id/scatter/repx"/{SUCCESS,stdout.log,stderr.log}
    same "$(repx_of "$id")/inputs.json" "$("$RULES" inputs "$LAB" "$id" "$BASE")"
    same "$(repx_of "$id")/parameters.json" "$("$RULES" parameters "$LAB" "$id")"
    same "$(repx_of "$id")/gather_inputs.json" "$("$RULES" gather-inputs "$LAB" "$id" "$BASE")"
    [[ $(jq -cS . "$(repx_of "$id")/worker_outs_manifest.json") == "$("$RULES" manifest "$LAB" "$id" "$BASE" 3)" ]]
    for branch in 0 1 2; do
        same "$BASE/outputs/$id/branch-$branch/repx/work_item.json" "{\"startIndex\":$branch}"
        for step in extract square; do
            file=$BASE/outputs/$id/branch-$branch/step-$step
            exists "$file"/repx/{SUCCESS,stdout.log,stderr.log}
            absent "$file/repx/FAIL"
            same "$file/repx/inputs.json" "$("$RULES" step-inputs "$LAB" "$id" "$BASE" "$branch" "$step")"
        done
    done
    same "$BASE/outputs/$id/branch-1/step-extract/out/number.txt" $'4\n'
    same "$BASE/outputs/$id/branch-1/step-square/out/partial.txt" $'16\n'
    # the phases are not jobs: one line for the whole
    [[ $(grep -c "\"$id\"" "$BASE/outputs/completions.jsonl") -eq 1 ]]
    [[ $(jq -r .unit "$BASE/outputs/$id/branch-1/step-square/repx/launch.json") == step:1:square ]]
    none_left
}

@test "scatter-gather resumes after a failed step with what is missing" {
    local id step kept
    own_lab scatter-lab
    id=$(job stage-S)
    step=$(script "$id" step-square)
    cp "$step" "$T/good"
    sed "2i [ \"\$(cat \"\$(sed -n 's/.*: \"\\\\(.*\\\\)\".*/\\\\1/p' \"\$2\")\")\" != 4 ] || exit 9" "$T/good" |
        set_script "$id" step-square
    launch run sim
    exits 9
    failed "$id"
    exists "$BASE/outputs/$id/branch-1/step-square/repx/FAIL" "$BASE/outputs/$id/branch-0/step-square/repx/SUCCESS"
    absent "$(out_of "$id")/sums.txt"
    kept=$(stat -c '%n %i' "$BASE/outputs/$id"/{scatter,branch-{0,1,2}/step-extract,branch-{0,2}/step-square}/repx/launch.json)
    set_script "$id" step-square <"$T/good"
    ok run sim
    succeeded "$id"
    same "$(out_of "$id")/sums.txt" $'4\n16\n36\n'
    absent "$BASE/outputs/$id/branch-1/step-square/repx/FAIL"
    [[ $(stat -c '%n %i' "$BASE/outputs/$id"/{scatter,branch-{0,1,2}/step-extract,branch-{0,2}/step-square}/repx/launch.json) == "$kept" ]]
}

@test "scatter-gather: no work items, and bad ones" {
    local id bad
    own_lab scatter-lab
    id=$(job stage-S)
    set_script "$id" scatter <<<$'#!/bin/sh\necho "[]" >"$1/work_items.json"'
    ok run sim
    succeeded "$id"
    same "$(out_of "$id")/sums.txt" ''
    same "$(repx_of "$id")/worker_outs_manifest.json" '[]'
    for bad in '{' '{"a":1}' ''; do
        set_script "$id" scatter <<<$'#!/bin/sh\nprintf %s \''"$bad"$'\' >"$1/work_items.json"'
        scratch_remove "$BASE/outputs/$id"
        launch run sim
        exits 125
        says work_items.json
        absent "$(repx_of "$id")/SUCCESS"
    done
}

@test "scatter-gather: one phase by --unit, and wrong units" {
    local id
    use_lab "$FILES/scatter-lab"
    id=$(job stage-S)
    ok run "$(job stage-A)"
    ok run "$(job stage-B)"
    launch run "$id" --unit gather
    refused 125 scatter
    ok run "$id" --unit scatter
    exists "$BASE/outputs/$id/scatter/repx/SUCCESS"
    absent "$(repx_of "$id")/SUCCESS"
    launch run "$id" --unit step:0:square
    refused 125 extract
    launch run "$id" --unit step:9:extract
    refused 125 9
    launch run "$id" --unit step:0:nosuch
    refused 125 nosuch
    launch run "$id" --unit nonsense
    refused 2 nonsense
    launch run "$(job stage-A)" --unit scatter
    refused 2 simple
}

@test "an inter-run input: the metadata is there, and its run has to be done" {
    local id
    make_lab "$T/inter-lab" --image unified --sweep 2 --inter-run
    id=$(job stage-meta '' analysis)
    launch run analysis
    exits 125
    says "$id" 'has not run'
    ok run sim
    ok run analysis
    same "$(out_of "$id")/meta.txt" "metadata__sim=$BASE/artifacts/revision/metadata-sim.json
store__base=$BASE
$(stat -c %s "$LAB/revision/metadata-sim.json")
"
    same "$(repx_of "$id")/inputs.json" "$("$RULES" inputs "$LAB" "$id" "$BASE")"
    cmp "$BASE/artifacts/revision/metadata-sim.json" "$LAB/revision/metadata-sim.json"
}

@test "SIGTERM: the job's trap runs, FAIL, record, 143, nothing left" {
    local id
    waiting_job <<<'trap '\''echo trapped; : >"$out/trapped"; exit 5'\'' TERM'
    start run "$id"
    await test -e "$(out_of "$id")/started"
    kill -TERM "$pid"
    ended
    [[ $status -eq 143 || $status -eq 5 ]] || show 'exit code'
    exists "$(out_of "$id")/trapped"
    same "$(repx_of "$id")/stdout.log" $'before\ntrapped\n'
    failed "$id"
    [[ $(record "$id" .exit.cancelled_by) == 15 ]]
    none_left
}

@test "SIGTERM to a job without a trap: 143" {
    local id
    waiting_job </dev/null
    start run "$id"
    await test -e "$(out_of "$id")/started"
    kill -TERM "$pid"
    ended
    exits 143
    failed "$id"
    same "$(repx_of "$id")/stdout.log" $'before\n'
    none_left
}

@test "SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 reach the job" {
    local id signal
    waiting_job <<<'for s in INT HUP USR1 USR2; do trap "echo got $s; : >\"$out/$s\"" $s; done; trap "exit 0" TERM'
    start run "$id"
    await test -e "$(out_of "$id")/started"
    for signal in USR1 USR2; do
        kill "-$signal" "$pid"
        await test -e "$(out_of "$id")/$signal"
    done
    kill -HUP "$pid"
    await test -e "$(out_of "$id")/HUP"
    kill -TERM "$pid"
    ended
    same "$(repx_of "$id")/stdout.log" $'before\ngot USR1\ngot USR2\ngot HUP\n'
    none_left
}

@test "grace over: killed, and the record says so" {
    local id
    waiting_job <<<'trap "echo no" TERM'
    start run "$id" --grace 1
    await test -e "$(out_of "$id")/started"
    kill -TERM "$pid"
    ended
    exits 137
    failed "$id"
    [[ $(record "$id" .exit.killed_after_grace) == true ]]
    none_left
}

@test "SIGKILL of the launcher leaves no process, and the job can run again" {
    local id
    waiting_job </dev/null
    start run "$id"
    await test -e "$(out_of "$id")/started"
    [[ -n $(processes "$(out_of "$id")") ]]
    kill -KILL "$pid"
    ended
    exits 137
    none_left
    absent "$(repx_of "$id")/SUCCESS"
    set_script "$id" <<<$'#!/bin/sh\necho 1 >"$1/numbers.txt"'
    ok run "$id"
    succeeded "$id"
}

@test "SIGKILL after SIGTERM, as Slurm does it: FAIL and the record are there" {
    local id
    waiting_job <<<'trap "echo asked" TERM'
    start run "$id"
    await test -e "$(out_of "$id")/started"
    kill -TERM "$pid"
    await test -s "$BASE/outputs/completions.jsonl"
    kill -KILL "$pid"
    ended
    exits 137
    none_left
    [[ $(jq .exit.cancelled_by "$(repx_of "$id")/launch.json") -eq 15 ]]
    same "$BASE/outputs/completions.jsonl" "{\"id\":\"$id\",\"s\":\"fail\"}"$'\n'
}

@test "SIGUSR1 to a run reaches its jobs, and the run goes on" {
    local id
    waiting_job <<<'trap '\''echo got USR1; echo 1 >"$out/numbers.txt"; exit 0'\'' USR1'
    start run sim -j 1
    await test -e "$(out_of "$id")/started"
    kill -USR1 "$pid"
    ended
    exits 0
    same "$(repx_of "$id")/stdout.log" $'before\ngot USR1\n'
    none_left
}

@test "the record of the run before is gone once a new one has begun" {
    local id
    waiting_job </dev/null
    mkdir -p "$(repx_of "$id")"
    echo '{}' >"$(repx_of "$id")/launch.json"
    : >"$(repx_of "$id")/SUCCESS"
    start run "$id"
    await test -e "$(out_of "$id")/started"
    absent "$(repx_of "$id")/"{SUCCESS,launch.json}
    kill -TERM "$pid"
    ended
    exits 143
    failed "$id"
}

@test "cancelling many: every running job stops, none starts, 143" {
    local id
    waiting_job </dev/null
    start run sim -j 1
    await test -e "$(out_of "$id")/started"
    kill -TERM "$pid"
    ended
    exits 143
    failed "$id"
    not_run "$(job stage-B 0)"
    none_left
}

@test "processes that a job leaves behind end with it" {
    local id runtime
    own_lab simple-lab
    id=$(job stage-A 0)
    set_script "$id" <<<$'#!/bin/sh\n(trap "" TERM HUP; while :; do sleep 1; done) &\nsetsid sleep 1000 </dev/null &\necho 1 >"$1/numbers.txt"'
    for runtime in bwrap native; do
        ok run "$id" "--$runtime"
        none_left
    done
}

@test "a job that is running is refused a second time" {
    local id
    waiting_job </dev/null
    start run "$id"
    await test -e "$(out_of "$id")/started"
    cp "$T/stdout" "$T/stdout.first"
    "$LAUNCH" run "$id" >"$T/second" 2>&1 </dev/null && status=0 || status=$?
    exits 125
    [[ $(<"$T/second") == *"$id is running already (pid $pid on $(uname -n))"* ]]
    absent "$(repx_of "$id")"/{SUCCESS,FAIL}
    kill -TERM "$pid"
    ended
    exits 143
}

@test "logs stream while the job runs" {
    local id
    waiting_job </dev/null
    start run "$id"
    await test -e "$(out_of "$id")/started"
    same "$(repx_of "$id")/stdout.log" $'before\n'
    kill -TERM "$pid"
    ended
}

@test "native: no image, host environment, only when asked for" {
    local id
    make_lab "$T/none-lab" --image none --sweep 1 --probe
    id=$(job stage-A)
    launch run "$id"
    refused 125 "$id" native
    absent "$BASE/outputs"
    FROM_OUTSIDE=1 ok run sim --native
    succeeded "$(job stage-B)"
    grep -qx FROM_OUTSIDE=1 "$(out_of "$id")/probe.env"
    grep -qx "PATH=$LAB/host-tools/[0-9a-f]*/bin:$PATH" "$(out_of "$id")/probe.env"
    [[ $(record "$id" .runtime.name) == native && $(record "$id" .image) == null ]]
}

@test "a script that cannot be executed: 126, in each runtime" {
    local id runtime
    own_lab simple-lab
    id=$(job stage-A 0)
    for runtime in bwrap native; do
        set_script "$id" <<<$'#!/no/such/interpreter\n'
        launch run "$id" "--$runtime"
        exits 126
        says "$(script "$id")" interpreter
        failed "$id"
        chmod 0644 "$(script "$id")"
        launch run "$id" "--$runtime"
        exits 126
        says "$(script "$id")"
        failed "$id"
        [[ $(record "$id" .exit.code) == 126 && $(record "$id" .exit.error) == *"$(script "$id")"* ]]
    done
}
