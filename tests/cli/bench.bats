#!/usr/bin/env bats
# scripts/bench on tiny images: that everybody takes part and did the work, that somebody who
# did not is found out, and what --check says. No figure is looked at.

load ../helpers

BENCH=$SOURCE/scripts/bench

# One run serves the tests that need no other.
setup_file() {
    local name
    for name in $(compgen -e); do
        case $name in REPX_* | SLURM*) [[ $name == *_DIR ]] || unset "$name" ;; esac
    done
    status=0
    T=$BATS_FILE_TMPDIR
    mkdir "$T/scratch"
    bench --rounds 2 --only cold/repx/gzip --only cold/debian/none --json "$T/result.json" \
        --contenders repx-launch,repx-procedure,limit-1-thread,limit-2-threads,bsdtar
    exits 0
    printf '%s\n' "$out" >"$T/table"
}

setup() {
    test_begin
    mkdir "$T/scratch"
}

teardown() {
    test_end
}

# bench ARGUMENT...: sets status, out and err.
bench() {
    status=0
    "$BENCH" --size small --rounds 1 --scratch "$T/scratch" --build-dir "$BUILD" \
        --images "$BATS_FILE_TMPDIR/images" "$@" \
        >"$T/stdout" 2>"$T/stderr" </dev/null || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
    nothing_left
}

nothing_left() {
    [[ -z $(ls -A "$T/scratch") ]] || { ls -lA "$T/scratch"; return 1; }
    no_process "$T/scratch" || { processes "$T/scratch"; return 1; }
}

# result FILTER [FILE]: of the JSON of a run.
result() {
    jq -er "$1" "${2:-$BATS_FILE_TMPDIR/result.json}"
}

# checked EXPECTED FILTER: --check of the run in result.json, changed by a jq filter, against
# a baseline of the unchanged one.
checked() {
    jq '{machine, date, size, rounds, versions, images, ratios: (.sections | map({(.name):
        (.rows | map(select(.ratio != null) | {(.contender): .ratio}) | add)}) | add)}' \
        "$BATS_FILE_TMPDIR/result.json" >"$T/baseline.json"
    jq "$2" "$BATS_FILE_TMPDIR/result.json" >"$T/changed.json"
    bench --from "$T/changed.json" --check --baseline "$T/baseline.json"
    exits "$1"
}

@test "cold: every contender takes its turns, and says what it is" {
    [[ $(result '[.sections[].name] | sort | join(" ")') == 'cold/debian/none cold/repx/gzip' ]]
    # the reference takes part though it is not named
    for name in gnu-tar repx-launch repx-procedure limit-1-thread limit-2-threads; do
        [[ $(NAME=$name result '[.sections[].rows[] | select(.contender == $ENV.NAME) |
            select(.failed == null and .rounds == 2 and .median > 0 and .ratio > 0)] | length') -eq 2 ]] ||
            show "$name"
    done
    [[ $(result '[.sections[].rows[] | select(.contender == "gnu-tar").ratio] | unique | .[]') == 1 ]]
    result '.sections[] | [.rows[], .absent[]] | map(.contender) | index("bsdtar") != null'
    result '.machine.cpus > 0 and (.machine.cpu | length > 0) and .machine.user != null'
    result '.images.debian == "synthetic" and .versions["repx-launch"] != null'
    [[ $(<"$BATS_FILE_TMPDIR/table") == *'[cold/repx/gzip]'*'gnu-tar '* ]]
}

@test "cold: who leaves files out, or does nothing, is out, and the run fails" {
    mkdir -p "$T/idle/src" "$T/lossy/src"
    printf '#!/bin/sh\nexit 0\n' >"$T/idle/src/repx-launch"
    cat >"$T/lossy/src/repx-launch" <<END
#!/bin/sh
"$LAUNCH" "\$@" || exit
find "\$5" -type f -path '*/nix/store/*' -name 'file10*' -exec rm {} +
END
    chmod 0755 "$T"/{idle,lossy}/src/repx-launch
    bench --only cold/repx/none --contenders repx-launch --json "$T/result.json" \
        --with idle="$T/idle" --with lossy="$T/lossy"
    exits 1
    result '.sections[0].rows[] | select(.contender == "repx-launch").failed == null' "$T/result.json"
    [[ $(result '.sections[0].rows[] | select(.contender == "lossy").failed' "$T/result.json") == *' files with '*' the image has 234 files'* ]]
    result '.sections[0].rows[] | select(.contender == "idle") | .failed != null and .median == null' "$T/result.json"
    says 'FAILED cold/repx/none: idle: ' 'FAILED cold/repx/none: lossy: '
}

@test "warm, size, many: each section compares, and nobody failed" {
    bench --only warm --only size --only many --json "$T/result.json" \
        --contenders bwrap,fork-exec,'repx-launch exec'
    exits 0
    [[ $(result '[.sections[].name] | join(" ")' "$T/result.json") == \
        'warm/exec warm/run warm/inputs size/start size/first many/warm many/cold' ]]
    result '.sections | all(.reference as $r | [.rows[] | select(.failed == null and .ratio > 0)] |
        length >= 2 and any(.contender == $r))' "$T/result.json"
    [[ $out == *'repx-launch, 200 jobs '*' max RSS '* ]] || show memory
}

# Of the result in $T: a row's figure.
row() {
    CONTENDER=$1 result ".sections[0].rows[] | select(.contender == \$ENV.CONTENDER) | $2" "$T/result.json"
}

@test "cluster/stage: a broadcast image is read once; without it, by each node" {
    bench --only cluster/stage --json "$T/result.json"
    exits 0
    result '.sections[0] | .name == "cluster/stage" and .reference == "shared, 2 nodes"' "$T/result.json"
    if [[ $EUID -ne 0 || ! -e $BUILD/spank/repx.so ]]; then
        [[ $(result '.sections[0].absent | length' "$T/result.json") -eq 2 && $out == *'absent: shared, 2 nodes ('* ]] || show
        return
    fi
    row 'shared, 2 nodes' '.rounds == 1 and .median > 0 and .ratio == 1'
    row 'bcast, 2 nodes' '.rounds == 1 and .median > 0 and .ratio > 0'
    # by bytes, which do not depend on the machine
    row 'shared, 2 nodes' '.values | (.read_shared_mb / .read_mb_per_node * 100 | round) == 200'
    result '.sections[0].rows | map({(.contender): .values}) | add |
        .["bcast, 2 nodes"].read_shared_mb / .["shared, 2 nodes"].read_shared_mb |
        . > 0.4 and . < 0.6' "$T/result.json"
    [[ $out == *'shared, 2 nodes '*' MB a node'*'bcast, 2 nodes '*', by srun; '* ||
        $out == *'bcast, 2 nodes '*', by srun; '*'shared, 2 nodes '*' MB a node'* ]] || show table
}

@test "cluster/stage: a broadcast that sends nothing is not measured" {
    [[ $EUID -eq 0 && -e $BUILD/spank/repx.so ]] || return 0 # the test above says that nobody takes part
    mkdir -p "$T/idle"/{src,spank,tests}
    cp "$BUILD/spank/repx.so" "$T/idle/spank"
    cp "$BUILD"/src/repx-{step-join,sandbox-init,job} "$T/idle/src"
    cp "$BUILD"/tests/bench-* "$T/idle/tests"
    cp "$BUILD/CMakeCache.txt" "$T/idle"
    # where the user of the cluster can execute it, also when the source is in root's home
    mkdir "$T/real"
    cp "$BUILD"/src/repx-{launch,step-join,sandbox-init,job} "$T/real"
    chmod 0755 "$T" "$T/real"
    printf '#!/bin/sh\n[ "$1" != broadcast ] || exit 0\nexec "%s" "$@"\n' "$T/real/repx-launch" >"$T/idle/src/repx-launch"
    chmod 0755 "$T/idle/src/repx-launch"
    bench --only cluster/stage --build-dir "$T/idle" --json "$T/result.json"
    exits 1
    row 'shared, 2 nodes' '.failed == null'
    # the nodes see no image
    row 'bcast, 2 nodes' '.median == null and (.failed | test("image.*No such file"))'
    says 'FAILED cluster/stage: bcast, 2 nodes: '
}

@test "a launcher that starts nothing is not measured" {
    mkdir -p "$T/broken/src" "$T/broken/tests"
    cp "$BUILD"/tests/bench-* "$T/broken/tests"
    cp "$BUILD/CMakeCache.txt" "$T/broken"
    printf '#!/bin/sh\n[ "$1" != exec ] || exit 0\nexec "%s" "$@"\n' "$LAUNCH" >"$T/broken/src/repx-launch"
    chmod 0755 "$T/broken/src/repx-launch"
    bench --only warm/exec --contenders 'repx-launch exec' --build-dir "$T/broken"
    exits 2
    says 'repx-launch exec does not start here'
}

@test "check: what moved by more than 15 % is said; a slower repx-launch fails" {
    local ours='(.sections[0].rows[] | select(.contender == "repx-launch").ratio)'
    local other='(.sections[0].rows[] | select(.contender == "limit-1-thread").ratio)'
    checked 0 .
    [[ $out == *'ratios compared'* && $out != *', was '* ]] || show 'nothing moved'
    checked 0 "$ours *= 1.14"
    checked 1 "$ours *= 1.16"
    [[ $out == *'cold/debian/none: repx-launch: '*'(+16 %) SLOWER'* ]] || show slower
    checked 0 "$ours *= 0.5"
    [[ $out == *'repx-launch: '*'(-50 %)'* && $out != *SLOWER* ]] || show faster
    checked 0 "$other *= 2"
    [[ $out == *'limit-1-thread: '*'(+100 %)'* && $out != *SLOWER* ]] || show other
    checked 1 "$ours = null"
    [[ $out == *'repx-launch: no ratio in this run'* ]] || show missing
    checked 0 '.machine.cpu = "another"'
    [[ $out == *'another machine: cpu is another, was '* ]] || show machine
    checked 1 '.sections[].name |= "cold/other"'
    [[ $out == *'nothing to compare'* ]] || show nothing
}

@test "the baseline of the repository can be read, and has the sections there are" {
    bench --from "$BATS_FILE_TMPDIR/result.json" --check
    # tiny images are not comparable, and it says so
    [[ $out == *'not the same images: size is small, was full'* ]] || show size
    jq -e '.ratios["cold/debian/none"]["repx-launch"] > 0 and .machine.cpu != null' \
        "$SOURCE/tests/bench/baseline.json"
}

@test "wrong words: sections, builds, files" {
    bench --only cold/nothing
    exits 2
    says 'no section is called cold/nothing'
    bench --only cold/debian/none --build-dir "$T/nowhere"
    exits 2
    says "$T/nowhere is no build directory"
    bench --from "$T/nothing.json"
    exits 2
    bench --rounds 0
    exits 2
    says '--rounds takes a number from 1 on'
}

@test "a run that is interrupted takes everything along" {
    local pid
    "$BENCH" --size small --rounds 1000 --scratch "$T/scratch" --build-dir "$BUILD" \
        --only cold/repx/none --contenders repx-launch,umoci,unsquashfs >"$T/stdout" 2>"$T/stderr" </dev/null &
    pid=$!
    await grep -q 'round 2 of' "$T/stderr"
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    err=$(<"$T/stderr")
    exits 143
    nothing_left
}
