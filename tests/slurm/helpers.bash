# helpers.bash: a throw-away Slurm for a bats file, and how its tests submit and look.
# shellcheck shell=bash

SOURCE=${REPX_SOURCE_DIR:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}
BUILD=${REPX_BUILD_DIR:-$SOURCE/build/dev}
SCRIPTS=$SOURCE/scripts

# sandbox_start [OPTIONS of slurm-sandbox up]: for setup_file. The sandbox ends with this
# process, however that ends. Sets and exports SANDBOX, SHARED, LOCAL, BASE and SLURM_CONF.
sandbox_start() {
    local exports
    SANDBOX=$("$SCRIPTS/slurm-sandbox" up --watch $$ "$@")
    exports=$("$SCRIPTS/slurm-sandbox" env --dir "$SANDBOX")
    eval "$exports"
    SHARED=$REPX_SANDBOX_SHARED LOCAL=$REPX_SANDBOX_LOCAL BASE=$REPX_SANDBOX_SHARED/store
    export SANDBOX SHARED LOCAL BASE
    mkdir -p "$SHARED/bin" "$SHARED/labs"
    cp "$BUILD/src/repx-launch" "$BUILD/src/repx-sandbox-init" "$SHARED/bin/"
    cat >"$SHARED/job.sh" <<JOB
#!/bin/sh
exec $SHARED/bin/repx-launch run "\$@" --bwrap \\
    --base-path "\${TEST_BASE:-$BASE}" --node-local-path "\${TEST_LOCAL:-$LOCAL/%u}"
JOB
    chmod 0755 "$SHARED/job.sh"
}

# sandbox_stop: for teardown_file.
sandbox_stop() {
    [[ -z ${SANDBOX:-} ]] || "$SCRIPTS/slurm-sandbox" down --dir "$SANDBOX"
    [[ -z ${PLUGIN:-} ]] || rm -rf -- "$PLUGIN"
}

# plugin_install: exports PLUGIN, a directory of root's with what a site installs, and its
# plugstack.conf.
plugin_install() {
    PLUGIN=$(mktemp -d "${TMPDIR:-/tmp}/repx-plugin.XXXXXX")
    export PLUGIN
    chmod 0755 "$PLUGIN"
    cp "$BUILD/spank/repx.so" "$BUILD/src/repx-launch" "$BUILD/src/repx-step-join" \
        "$BUILD/src/repx-sandbox-init" "$BUILD/src/repx-job" "$BUILD/src/repx-podman-hook" "$PLUGIN/"
    plugstack_site
}

# plugin_start [OPTIONS of slurm-sandbox up]: sandbox_start with repx.so on all nodes.
plugin_start() {
    [[ -n ${PLUGIN:-} ]] || plugin_install
    sandbox_start --plugstack "$PLUGIN/plugstack.conf" "$@"
    cat >"$PLUGIN/repx.ini" <<CONF
[targets.local]
base_path = "$SHARED/%u/base"
node_local_path = "$LOCAL/%u"
CONF
}

# podman_nodes: gives each node what rootless podman needs: the pure cgroup v2 layout, and
# subordinate ids for the first unprivileged user.
podman_nodes() {
    local pid
    echo 'repx-sandbox:200000:65536' >"$SHARED/subids"
    # slurmd itself refuses that layout where the machine's is another: once it runs
    for pid in $(slurmd_pids); do
        # shellcheck disable=SC2016
        nsenter --target "$pid" --mount bash -c '
            set -e
            if [[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]]; then
                ! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup
                mount -t cgroup2 none /sys/fs/cgroup
            fi
            for file in /etc/subuid /etc/subgid; do
                mount --bind "$1" "$file"
            done' bash "$SHARED/subids"
    done
}

slurmd_pids() {
    local pid
    for pid in $(pgrep -x slurmd); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$SANDBOX/"; then
            echo "$pid"
        fi
    done
}

# no_container: no process of podman's or of a container in this Slurm.
no_container() {
    local file program found=''
    # shellcheck disable=SC2062 # file names, not the pattern
    while read -r file; do
        # one that has ended meanwhile is none
        program=$({ tr '\0' '\n' <"${file%/*}/cmdline" | head -n 1; } 2>/dev/null) || true
        case ${program##*/} in
        podman* | conmon* | catatonit* | crun* | init | repx-sandbox-init) found+=" $program" ;;
        esac
    done < <(printf '%s\n' "$SANDBOX" | grep -lF -f - /proc/[0-9]*/{cmdline,environ} 2>/dev/null)
    [[ -z $found ]] || {
        echo "still there:$found"
        return 1
    }
}

# plugstack LINE: of plugstack.conf, from the next step on.
plugstack() {
    printf '%s\n' "$1" >"$PLUGIN/plugstack.conf"
}

# plugstack_site: the line as a site has it.
plugstack_site() {
    plugstack "required $PLUGIN/repx.so config=$PLUGIN/repx.ini \
launcher=$PLUGIN/repx-launch join=$PLUGIN/repx-step-join"
}

as_user() {
    "$SCRIPTS/slurm-sandbox" exec --dir "$SANDBOX" -- "$@"
}

# A second unprivileged user, made when it is missing and left there, like the first.
OTHER_USER=repx-sandbox2

as_other_user() {
    id "$OTHER_USER" >/dev/null 2>&1 || useradd --create-home "$OTHER_USER"
    "$SCRIPTS/slurm-sandbox" exec --dir "$SANDBOX" --user "$OTHER_USER" -- "$@"
}

# make_lab NAME OPTIONS...: sets LAB.
make_lab() {
    LAB=$SHARED/labs/$1-lab
    shift
    "$SCRIPTS/make-lab" --image unified "$@" "$LAB" >/dev/null
}

# jobs_of LAB RUN NAME: the ids of the run's jobs of that stage, one a line; from the
# metadata, not from the program under test.
jobs_of() {
    jq -r --arg name "$3" \
        '.jobs | to_entries[] | select(.value.name | startswith($name)) | .key' \
        "$1/revision/metadata-$2.json"
}

# producer_of LAB RUN JOB: the job whose output this one takes.
producer_of() {
    jq -r --arg job "$3" '.jobs[$job].executables.main.inputs[0].job_id' \
        "$1/revision/metadata-$2.json"
}

# submit SBATCH-OPTIONS... -- ARGUMENTS OF job.sh...: prints the Slurm id.
submit() {
    local options=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    as_user sbatch --parsable --output="$SHARED/slurm-%A_%a.out" "${options[@]}" \
        "${SUBMIT_SCRIPT:-$SHARED/job.sh}" "$@"
}

# await SECONDS COMMAND...: until it succeeds.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then
            echo "gave up waiting for: $*"
            squeue
            tail -n 20 "$SHARED"/slurm-*.out
            return 1
        fi
        sleep 0.1
    done
}

# A squeue that got no answer, as on a machine under load, says nothing about the job.
job_ended() {
    local listed
    listed=$(squeue -h -j "$1" 2>&1) || [[ $listed == *"Invalid job id"* ]] || return 1
    [[ -z $listed || $listed == *"Invalid job id"* ]]
}

# finish ID [SECONDS]: waits for a job (with all its array tasks) to end.
finish() {
    await "${2:-60}" job_ended "$1"
}

# job_field ID FIELD: of scontrol show job.
job_field() {
    scontrol -o show job "$1" | grep -o " $2=[^ ]*" | cut -d= -f2-
}

repx_dir() {
    printf '%s\n' "${TEST_BASE:-$BASE}/outputs/$1/repx"
}

out_dir() {
    printf '%s\n' "${TEST_BASE:-$BASE}/outputs/$1/out"
}

# record JOB FILTER: of launch.json.
record() {
    jq -r "$2" "$(repx_dir "$1")/launch.json"
}

# no_slurmstepd_of ID: none on this machine calls itself the job's (of another cluster that
# tests run beside this one it may, for a while).
no_slurmstepd_of() {
    ! grep -lzF "slurmstepd: [$1." /proc/[0-9]*/cmdline >/dev/null 2>&1
}

# ended_as ID STATE CODE: what Slurm says about the job; shows its output when it differs.
ended_as() {
    local state code
    state=$(job_field "$1" JobState) code=$(job_field "$1" ExitCode)
    [[ $state == "$2" && $code == "$3" ]] || {
        echo "job $1: $state $code, not $2 $3"
        tail -n 20 "$SHARED/slurm-$1"_*.out
        return 1
    }
}

# marked JOB MARKER: that marker and no other.
marked() {
    local found
    found=$(cd "$(repx_dir "$1")" && echo [SF]*[SL])
    [[ $found == "$2" ]] || {
        echo "job $1 has the markers '$found', not $2"
        return 1
    }
}

# --- what a command that set status, out and err did (srun, in tests of the plugin) ---

status='' out='' err=''

# show TEXT...: fails, and shows them.
show() {
    printf '%s\n' "$@" "status: $status" "stdout: $out" "stderr: $err"
    return 1
}

ends() {
    [[ $status -eq $1 ]] || show "expected exit code $1"
}

prints() {
    [[ $out == "$1" ]] || show "expected on stdout: $1"
}

says() {
    local text
    for text in "$@"; do
        [[ $err == *"$text"* ]] || show "expected on stderr: $text"
    done
}

# nodes_up: none of them is drained or down.
nodes_up() {
    local states
    states=$(sinfo -h -N -o %T | sort -u)
    [[ $states != *dr* && $states != *down* ]] || {
        sinfo -R
        return 1
    }
}

# nothing_left DIR: no directory, and no process that has DIR in its command line,
# environment or mounts. This shell may know DIR only in a local variable.
nothing_left() {
    local found
    [[ ! -e $1 ]] || {
        echo "$1 is still there"
        return 1
    }
    # shellcheck disable=SC2062 # file names, not the pattern
    found=$(printf '%s\n' "$1" |
        grep -lF -f - /proc/[0-9]*/{cmdline,environ,mountinfo} 2>/dev/null) || true
    [[ -z $found ]] || {
        echo "still there: $found"
        return 1
    }
}

# open_mpi SRUN-ARGUMENT...: the suite's mpi, again when Open MPI has lost its own race: in a
# step of Slurm a rank may get a message before its MPI_Init has set what is called for it, and
# calls address 0 (1 of 150 steps on a busy machine, without a sandbox as with one; Open MPI's
# issues 11438 and 12495).
open_mpi() {
    local n
    for n in 1 2 3; do
        mpi "$@"
        [[ $status -ne 0 && $err == *"Segmentation fault"*"Failing at address: (nil)"* ]] || return 0
    done
}
