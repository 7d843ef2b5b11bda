# helpers.bash: for tests/cli and tests/conformance. Each test has a directory $T of its
# own with HOME, configuration, base path and node-local path below it.
# shellcheck shell=bash

SOURCE=${REPX_SOURCE_DIR:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}
BUILD=${REPX_BUILD_DIR:-$SOURCE/build/dev}
LAUNCH=$BUILD/src/repx-launch
MAKE_LAB=$SOURCE/scripts/make-lab
RULES=$SOURCE/tests/repx_rules.py
IMAGES=$SOURCE/tests/make_images.py

scratch() {
    mktemp -d "${TMPDIR:-/tmp}/repx-test.XXXXXX"
}

# Trees of images have read-only directories.
scratch_remove() {
    [[ -z ${1:-} ]] || {
        chmod -R u+w "$1" 2>/dev/null || true
        rm -rf "$1"
    }
}

# test_begin: for setup. Nothing of the caller's environment acts on the launcher.
test_begin() {
    local name
    for name in $(compgen -e); do
        case $name in
        REPX_* | SLURM* | XDG_* | SBATCH_* | PMI*) unset "$name" ;;
        esac
    done
    T=$(scratch)
    chmod 0755 "$T"
    mkdir "$T/home" "$T/config" "$T/cwd"
    BASE=$T/store LOCAL=$T/local
    export HOME=$T/home XDG_CONFIG_HOME=$T/config
    export REPX_BASE_PATH=$BASE REPX_NODE_LOCAL_PATH=$LOCAL
    [[ -z ${STAGING:-} ]] || staging "$STAGING"
    cd "$T/cwd" || return
}

# staging auto|flat|off: who makes the mounts of this test's sandboxes. STAGING in the
# environment does that for every test of a suite.
staging() {
    mkdir -p "$XDG_CONFIG_HOME/repx"
    printf '[targets.local]\nstaging = "%s"\n' "$1" >"$XDG_CONFIG_HOME/repx/repx.ini"
}

# test_end: for teardown.
test_end() {
    cd /
    scratch_remove "${T:-}"
}

status='' out='' err=''

# launch ARGUMENT...: runs the launcher; sets status, out and err. Input: /dev/null, or
# the file STDIN.
launch() {
    status=0
    "$LAUNCH" "$@" <"${STDIN:-/dev/null}" >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

show() {
    printf '%s\n' "$@" "status: ${status:-}" "stdout: ${out:-}" "stderr: ${err:-}"
    return 1
}

# exits N: what the last launch must have ended with.
exits() {
    [[ $status -eq $1 ]] || show "expected exit code $1"
}

# ok ARGUMENT...: launch that must succeed.
ok() {
    launch "$@"
    exits 0
}

# prints TEXT: standard output is exactly this.
prints() {
    [[ $out == "$1" ]] || show "expected on stdout: $1"
}

# says TEXT...: standard error has each of these.
says() {
    local text
    for text in "$@"; do
        [[ $err == *"$text"* ]] || show "expected on stderr: $text"
    done
}

# step_host OPTIONS OF step_host.py -- OPTIONS OF THE STEP: which STEP_HOST (the program, and how
# it is run) plays; sets status, answer (the JSON), out (what came behind it) and err.
step_host() {
    local own=()
    while (($#)) && [[ $1 != -- ]]; do
        own+=("$1")
        shift
    done
    status=0
    "${STEP_HOST[@]}" "${own[@]}" "$LAUNCH" "${STEP_OPTIONS[@]}" "${@:2}" >"$T/stdout" 2>"$T/stderr" </dev/null ||
        status=$?
    answer=$(head -n 1 "$T/stdout") out=$(tail -n +2 "$T/stdout") err=$(<"$T/stderr")
}

# refused CODE TEXT...: one printable line on stderr, nothing on stdout, this exit code.
refused() {
    exits "$1"
    shift
    [[ -z $out ]] || show 'expected nothing on stdout'
    [[ $(wc -l <"$T/stderr") -eq 1 && $err == 'repx-launch: '* ]] ||
        show 'expected one line on stderr'
    ! LC_ALL=C grep -q '[[:cntrl:]]' <<<"$err" || show 'expected printable text on stderr'
    says "$@"
}

# same FILE TEXT: byte for byte.
same() {
    [[ -f $1 ]] || { echo "missing: $1"; return 1; }
    cmp -s "$1" <(printf '%s' "$2") || {
        echo "$1 differs:"
        diff <(printf '%s' "$2") "$1"
        return 1
    }
}

# refute COMMAND...: it must fail. (Bash does not take a failing "! command" for an error.)
refute() {
    if "$@"; then
        echo "unexpected success: $*"
        return 1
    fi
}

exists() {
    local path
    for path in "$@"; do
        [[ -e $path ]] || { echo "missing: $path"; return 1; }
    done
}

absent() {
    local path
    for path in "$@"; do
        [[ ! -e $path && ! -L $path ]] || { echo "unexpected: $path"; return 1; }
    done
}

# await COMMAND...: until it succeeds, for at most 30 seconds.
await() {
    local deadline=$((SECONDS + 30))
    until "$@"; do
        ((SECONDS < deadline)) || { echo "gave up waiting for: $*"; return 1; }
        sleep 0.02
    done
}

# make_lab DIRECTORY OPTIONS...: sets LAB and exports REPX_LAB.
make_lab() {
    local dir=$1
    shift
    "$MAKE_LAB" "$@" "$dir" >/dev/null
    use_lab "$dir"
}

use_lab() {
    LAB=$1
    export REPX_LAB=$LAB
}

# job NAME [OFFSET] [RUN]: the id, from the lab's metadata.
job() {
    jq -er --arg name "$1" --arg offset "${2:-}" '[.jobs | to_entries[] |
        select((.value.name | startswith($name)) and
               ($offset == "" or "\(.value.params.offset)" == $offset)) | .key][0]' \
        "$LAB/revision/metadata-${3:-sim}.json"
}

jobs_of_run() {
    jq -r '.jobs | keys[]' "$LAB/revision/metadata-${1:-sim}.json"
}

# script JOB [EXECUTABLE]: the file of the job's script; the lab is the test's own.
script() {
    jq -er --arg job "$1" --arg exe "${2:-main}" \
        '[.[] | .jobs? // empty | .[$job] // empty | .executables[$exe].path][0]' \
        <(jq -s . "$LAB"/revision/metadata-*.json) | sed "s|^|$LAB/|"
}

# set_script JOB [EXECUTABLE] <TEXT: replaces a job's script in the test's own lab.
set_script() {
    local file
    file=$(script "$@")
    cat >"$file"
    chmod 0755 "$file"
    reseal
}

# edit FILTER FILE: changes a JSON file of the test's own lab.
edit() {
    jq -c "$1" "$LAB/$2" >"$T/edited"
    cat "$T/edited" >"$LAB/$2"
    reseal
}

# reseal: the manifest fits the files again.
reseal() {
    "$RULES" reseal "$LAB"
}

repx_of() {
    printf '%s\n' "$BASE/outputs/$1/repx"
}

out_of() {
    printf '%s\n' "$BASE/outputs/$1/out"
}

# record JOB FILTER: of its launch.json.
record() {
    jq -r "$2" "$(repx_of "$1")/launch.json"
}

# succeeded JOB / failed JOB: marker and the last line about it in the completion log.
succeeded() {
    has_outcome "$1" SUCCESS FAIL ok
}

failed() {
    has_outcome "$1" FAIL SUCCESS fail
}

has_outcome() {
    exists "$(repx_of "$1")/$2"
    absent "$(repx_of "$1")/$3"
    [[ ! -s $(repx_of "$1")/$2 ]] || { echo "$2 of $1 is not empty"; return 1; }
    [[ $(grep -F "\"$1\"" "$BASE/outputs/completions.jsonl" | tail -n 1) == \
        "{\"id\":\"$1\",\"s\":\"$4\"}" ]] || {
        cat "$BASE/outputs/completions.jsonl"
        return 1
    }
}

# not_run JOB: it has left nothing at all.
not_run() {
    absent "$BASE/outputs/$1"
    ! grep -qsF "\"$1\"" "$BASE/outputs/completions.jsonl" ||
        { echo "$1 is in the completion log"; return 1; }
}

# processes TEXT: those of the machine with the text in argv or environment, but for the
# callers of this.
processes() {
    "$RULES" processes "$1"
}

# none_left: no process knows this test's directory any more.
none_left() {
    await no_process "$T" || { processes "$T"; return 1; }
}

no_process() {
    [[ -z $(processes "$1") ]]
}
