#!/usr/bin/env bats
# repx.so and repx-step-join in a fake Slurm (tests/fakes/spank_host.c) with a fake
# launcher (tests/fakes/step_launcher.c): the orders and faults of a real one that are
# hard to have. Real Slurm: tests/slurm/spank_*.bats.

load ../helpers

HOST=$BUILD/tests/fake-spank-host
NOBODY=65534

setup() {
    test_begin
    local name
    for name in $(compgen -e); do
        case $name in
        REPX_* | _SLURM* | FAKE_*) unset "$name" ;;
        esac
    done
    # root's, and reachable for tasks of another user
    mkdir "$T/bin"
    cp "$BUILD/spank/repx.so" "$BUILD/src/repx-step-join" "$T/bin/"
    cp "$BUILD/tests/fake-step-launcher" "$T/bin/repx-launch"
    mkdir -m 1777 "$T/open"
    site=(--arg "launcher=$T/bin/repx-launch" --arg "join=$T/bin/repx-step-join")
    export SLURMD_NODENAME=n1 FAKE_STEP=native FAKE_STEP_LOG=$T/open/log
}

teardown() {
    test_end
}

# play ROLE [OPTION...] -- CMD...: sets status, out, err.
play() {
    local role=$1
    shift
    status=0
    "${HOST_PROGRAM:-$HOST}" "$role" --plugin "$T/bin/repx.so" "${site[@]}" --uid $NOBODY "$@" \
        </dev/null >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

# starts N: so often the launcher was started.
starts() {
    local n=0
    [[ ! -e $FAKE_STEP_LOG ]] || n=$(grep -c '^start' "$FAKE_STEP_LOG") || true
    [[ $n -eq $1 ]] || show "launcher started $n times, not $1"
}

logged() {
    grep -qxF -e "$1" "$FAKE_STEP_LOG" || { cat "$FAKE_STEP_LOG"; return 1; }
}

lines_with() {
    grep -cF -e "$1" "$T/stderr" || true
}

@test "exports only what Slurm looks for, needs only libc" {
    run bash -c "nm -D --defined-only '$T/bin/repx.so' | awk '{ print \$3 }' | sort | xargs"
    [[ $output == "plugin_name plugin_type plugin_version slurm_spank_exit slurm_spank_init \
slurm_spank_init_post_opt slurm_spank_local_user_init slurm_spank_task_init \
slurm_spank_task_post_fork spank_plugin_version" ]] || { echo "$output"; return 1; }
    run bash -c "readelf -d '$T/bin/repx.so' | grep -o 'NEEDED.*\[.*' | grep -v '\[libc\.so'"
    [[ -z $output ]] || { echo "$output"; return 1; }
    run bash -c "nm -D --undefined-only '$T/bin/repx.so' | grep -E ' (abort|exit|__assert_fail|fork|execv.*|system)@'"
    [[ -z $output ]] || { echo "$output"; return 1; }
    run bash -c "readelf -d '$T/bin/repx-step-join' | grep NEEDED"
    [[ -z $output ]]
}

@test "a step without options: no descriptor, no launcher, nothing in the way" {
    play srun -- /bin/sh -c 'echo hi; env | grep -c REPX; ls /proc/self/fd | wc -w'
    exits 0
    prints $'hi\n0\n4'
    says "host: 0 descriptors more"
    starts 0
    play stepd --step fffffffb -- /bin/echo batch
    prints batch
    says "host: 0 descriptors more"
    play slurmd
    exits 0
}

@test "a sandboxed step: command, arguments and environment are the task's own" {
    FAKE_STEP=sandbox
    play srun --tasks 3 --opt repx-image=X --opt repx-network=host -- \
        /bin/sh -c 'ls /mnt; echo "$0" "$@"; env | grep -E "^(SLURM_)?REPX"; echo $FAKE' a 'b c'
    exits 0
    [[ $(sort <<<"$out" | uniq -c | xargs) == '3 a b c 6 inside' ]] || show
    starts 1
    logged "start step=0 nodes=1 tasks=3 local=3 config= script="
    logged "option --image=X"
    logged "option --network=host"
    # of all that was made, only what keeps the sandbox stays in slurmstepd
    says "host: 6 descriptors more"
    run bash -c "grep -o '[0-9]* descriptors stay' '$T/stderr'"
    local with=${output%% *}
    play srun -- /bin/true
    run bash -c "grep -o '[0-9]* descriptors stay' '$T/stderr'"
    [[ $with -eq $((${output%% *} + 1)) ]] || show "$with"
}

@test "in the sandbox: no capability, no new privileges, no descriptor of ours" {
    FAKE_STEP=sandbox
    play srun --opt repx-image=X -- /bin/sh -c \
        'grep -E "^(Cap|NoNewPrivs)" /proc/self/status; ls /proc/self/fd | xargs; id -u'
    exits 0
    for name in CapInh CapPrm CapEff CapBnd CapAmb; do
        [[ $out == *"$name:"$'\t'0000000000000000* ]] || show
    done
    [[ $out == *$'NoNewPrivs:\t1'* && $out == *$'\n0 1 2 3\n65534' ]] || show
}

@test "the directory of the task, when it is visible there" {
    FAKE_STEP=sandbox
    cd /usr/share
    play srun --opt repx-image=X -- /bin/sh -c 'pwd; echo $PWD'
    prints $'/usr/share\n/usr/share'
    mkdir -m 0700 "$T/closed"
    cd "$T/closed"
    play srun --tasks 3 --opt repx-image=X -- /bin/pwd
    prints $'/mnt\n/mnt\n/mnt'
    [[ $(lines_with 'is not visible in the sandbox') -eq 1 ]] || show
    export FAKE_STEP_CWD=/nowhere
    play srun --opt repx-image=X -- /bin/pwd
    exits 125
    says "repx: n1: the working directory '/nowhere' in the sandbox: No such file" --repx-workdir
}

@test "native: the task stays where it is, with the launcher's variables" {
    export FAKE_STEP_SET=ADDED=yes
    cd /usr/share
    OWN=kept play srun --opt repx-image=X --opt repx-native -- \
        /bin/sh -c 'pwd; echo $ADDED $OWN; env | grep -c STEP_FDS'
    prints $'/usr/share\nyes kept\n0'
    logged "option --native"
}

@test "exit codes and signals are the command's own" {
    local code
    for code in 0 1 7 125 255; do
        play srun --opt repx-image=X -- /bin/sh -c "exit $code"
        exits "$code"
    done
    play srun --opt repx-image=X -- /bin/sh -c 'kill -TERM $$'
    exits 143
}

@test "what cannot be executed: 127 and 126 with a sentence" {
    FAKE_STEP=sandbox
    play srun --opt repx-image=X -- nosuch a
    exits 127
    says "repx: n1: command 'nosuch' is not there in the sandbox; no directory of the image's PATH has it"
    play srun --opt repx-image=X -- /nosuch
    exits 127
    says "repx: n1: command '/nosuch' is not there" "the image must have it"
    printf 'echo no interpreter\n' >"$T/open/plain"
    chmod 0755 "$T/open/plain"
    play srun --opt repx-image=X -- "$T/open/plain"
    exits 126
    says "cannot execute '$T/open/plain' in the sandbox: Exec format error"
    printf '#!/nosuch/sh\n' >"$T/open/script"
    chmod 0755 "$T/open/script"
    play srun --opt repx-image=X -- "$T/open/script"
    exits 126
    says "its interpreter"
    play srun --opt repx-image=X -- /etc/passwd
    exits 126
    says "Permission denied"
}

@test "a failure is told once a node, escaped, with the launcher's code" {
    FAKE_STEP=fail
    play srun --tasks 8 --opt repx-image=X -- /bin/true
    exits 42
    [[ $(lines_with 'repx: n1: the image\nis bad') -eq 1 ]] || show
    starts 1
}

@test "a launcher that dies without an answer" {
    FAKE_STEP=killed-once
    play srun --tasks 4 --opt repx-image=X -- /bin/echo ran
    exits 0
    prints $'ran\nran\nran\nran'
    starts 2
    FAKE_STEP=killed
    play srun --tasks 4 --opt repx-image=X -- /bin/echo ran
    exits 125
    prints ''
    says "was killed by signal 9 before the sandbox was ready"
    FAKE_STEP=silent
    play srun --opt repx-image=X -- /bin/echo ran
    exits 125
    says "ended with 3 and no answer"
    printf '#!/nosuch\n' >"$T/bin/repx-launch"
    play srun --opt repx-image=X -- /bin/echo ran
    exits 125
    prints ''
    says "cannot execute $T/bin/repx-launch: No such file"
}

waits() {
    grep -q 'step-launcher: waiting' "$T/stderr"
}

@test "tasks killed while they wait: launcher and join program are gone" {
    FAKE_STEP='wait'
    export FAKE_STEP_GO=$T/open/go
    play srun --tasks 4 --opt repx-image=X -- /bin/echo ran &
    await waits
    local pids
    pids=$(processes "$T/open/go")
    [[ -n $pids ]]
    # the tasks: everything but this shell and the host itself
    for pid in $(pgrep -x repx-join); do
        ! grep -qzF "$T/open/log" "/proc/$pid/environ" || kill -KILL "$pid"
    done
    await no_process "$T/bin/repx-launch"
    wait
    none_left
}

# launcher_pid: of this test's launcher, which is $T/bin/repx-launch.
launcher_pid() {
    find /proc -mindepth 2 -maxdepth 2 -name exe -lname "$T/bin/repx-launch" -printf '%h\n' \
        2>/dev/null | cut -d/ -f3
}

@test "the task that started the launcher is killed: it goes on for the others" {
    FAKE_STEP='wait'
    export FAKE_STEP_GO=$T/open/go
    (
        await waits
        read -r _ _ _ maker _ <"/proc/$(launcher_pid)/stat"
        kill -KILL "$maker"
        touch "$T/open/go"
    ) &
    play srun --tasks 3 --opt repx-image=X -- /bin/echo ran
    wait
    exits 137
    prints $'ran\nran'
    starts 1
    none_left
}

@test "task and launcher are killed: another task takes over" {
    FAKE_STEP='wait'
    export FAKE_STEP_GO=$T/open/go
    (
        await waits
        launcher=$(launcher_pid)
        read -r _ _ _ maker _ <"/proc/$launcher/stat"
        kill -KILL "$maker" "$launcher"
        touch "$T/open/go"
    ) &
    play srun --tasks 3 --opt repx-image=X -- /bin/echo ran
    wait
    exits 137
    prints $'ran\nran'
    starts 2
    none_left
}

@test "a signal for the tasks while they wait ends the step at once" {
    FAKE_STEP='wait'
    export FAKE_STEP_GO=$T/open/go
    play srun --tasks 3 --signal 15 --opt repx-image=X -- /bin/echo ran
    exits 143
    prints ''
    none_left
}

@test "the launcher goes on when it may" {
    FAKE_STEP='wait'
    export FAKE_STEP_GO=$T/open/go
    (await waits && touch "$T/open/go") &
    play srun --tasks 2 --opt repx-image=X -- /bin/echo ran
    wait
    exits 0
    prints $'ran\nran'
}

@test "wrong values fail where they are typed, and are checked again on the node" {
    local role
    for role in srun sbatch salloc; do
        play $role --opt repx-image=X --opt repx-network=bridge -- /bin/echo ran
        exits 255
        prints ''
        says "$role: error: repx: --repx-network=bridge: option --network: 'bridge' is neither none nor host"
        play $role --opt repx-image=X --opt repx-bwrap --opt repx-docker -- /bin/echo ran
        exits 1
        prints ''
        says "two runtimes are asked for: bwrap and docker"
    done
    # set directly, past all local checks
    export _SLURM_SPANK_OPTION_repx_repx_image=X _SLURM_SPANK_OPTION_repx_repx_network=bridge
    export SLURM_REPX_STEP_COMMAND=/bin/echo
    play stepd --tasks 3 -- "$T/bin/repx-step-join" ran
    exits 125
    prints ''
    [[ $(lines_with "stepd: error: repx: option --network: 'bridge'") -eq 1 ]] || show
    starts 0
}

@test "a list is given once; #SBATCH lines and the job's own may be replaced" {
    play srun --opt repx-image=X --opt repx-mount-path=/a --opt repx-mount-path=/b -- /bin/echo ran
    exits 255
    prints ''
    says "--repx-mount-path is given twice; give it once, with commas between the items"
    play sbatch --opt repx-mount-path=/a --opt repx-mount-path=/b --
    exits 0
    says "sbatch: repx: --repx-mount-path is given twice" "the last one counts"
    export SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_mount_path=/a
    play srun --opt repx-image=X --opt repx-mount-path=/b,/c -- /bin/echo ran
    exits 0
    logged "option --mount-path=/c"
    refute logged "option --mount-path=/a"
}

@test "inherited options: in force, replaced, switched off" {
    export SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_image=outer
    export SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_mount_host_paths='(null)'
    play srun -- /bin/echo ran
    exits 0
    logged "option --image=outer"
    logged "option --mount-host-paths"
    rm "$FAKE_STEP_LOG"
    play srun --opt repx-image=inner --opt repx-mount-host-paths=no -- /bin/echo ran
    logged "option --image=inner"
    logged "option --mount-host-paths=no"
    local off
    for off in repx-image=none repx-image=; do
        REPX_IMAGE=outer play srun --opt $off -- /bin/sh -c 'env | grep ^REPX_'
        exits 0
        prints REPX_MOUNT_HOST_PATHS=yes
    done
    starts 1
    export SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_bwrap='(null)'
    play srun --opt repx-runtime=native -- /bin/echo ran
    exits 1
    prints ''
    says "two runtimes are asked for: native and bwrap" \
        "inherits the job's options; an empty value, or =no for a flag, takes one away"
    play srun --opt repx-runtime=native --opt repx-bwrap=no -- /bin/echo ran
    exits 0
    prints ran
}

@test "options without an image become the launcher's variables" {
    REPX_NETWORK=none play srun --opt repx-network=host --opt repx-env='A=1\,2,B' \
        --opt repx-verbose=2 --opt repx-mount-host-paths -- \
        /bin/sh -c 'env | grep -c ^REPX_; printenv REPX_NETWORK REPX_ENV REPX_VERBOSE REPX_MOUNT_HOST_PATHS'
    exits 0
    prints $'4\nhost\nA=1,2\nB\n\n2\nyes'
    says "host: 0 descriptors more"
    starts 0
}

@test "a batch script stays on the host, with the options as variables" {
    _SLURM_SPANK_OPTION_repx_repx_image=X play stepd --step fffffffb -- \
        /bin/sh -c 'env | grep ^REPX_'
    exits 0
    prints REPX_IMAGE=X
    _SLURM_SPANK_OPTION_repx_repx_image=X play stepd --step fffffffa -- \
        /bin/sh -c 'env | grep ^REPX_'
    prints REPX_IMAGE=X
    starts 0
}

# The batch step of 22.05 under --export=NONE: only what inner steps will inherit is left.
@test "a batch step that lost its options finds them again, an inner step does not" {
    export SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_image=X
    play stepd --step fffffffb -- /bin/sh -c 'env | grep ^REPX_'
    prints REPX_IMAGE=X
    play stepd --step 0 -- /bin/sh -c 'env | grep -c ^REPX_'
    prints 0
    export SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_batch_script='(null)' FAKE_STEP=sandbox
    play stepd --step fffffffb -- /bin/ls /mnt
    exits 0
    prints inside
    logged "start step=fffffffb nodes=1 tasks=1 local=1 config= script=/bin/ls"
}

@test "--repx-batch-script by Slurm's own call, where it has one" {
    export _SLURM_SPANK_OPTION_repx_repx_image=X FAKE_STEP=sandbox
    # a variable from outside is no command
    export SLURM_REPX_STEP_COMMAND=/bin/false
    _SLURM_SPANK_OPTION_repx_repx_batch_script=yes HOST_PROGRAM=$HOST-2311 \
        play stepd --step fffffffb -- /bin/sh -c 'ls /mnt; echo "$0 $1"' a b
    exits 0
    prints $'inside\na b'
}

@test "a node without the plugin does not run the command" {
    # what srun with the plugin sends, to a slurmstepd without one
    SLURM_REPX_STEP_COMMAND=/bin/echo run "$T/bin/repx-step-join" ran
    [ "$status" -eq 125 ]
    [[ $output == "repx: n1: this node did not prepare the step's sandbox; "*plugstack.conf* ]]
    SLURM_REPX_STEP_MULTIPROG=$T/bin/repx-step-join run "$T/bin/repx-step-join" /bin/echo ran
    [ "$status" -eq 125 ]
    REPX_STEP_FDS=3:4:5 run "$T/bin/repx-step-join" /bin/echo ran
    [ "$status" -eq 125 ]
    REPX_STEP_FDS=93:94:95:96:97:98 run "$T/bin/repx-step-join" /bin/echo ran
    [ "$status" -eq 125 ]
    [[ $output == *"descriptor 93 is not there"* ]]
}

@test "a step that an srun without the plugin sends is refused" {
    export _SLURM_SPANK_OPTION_repx_repx_image=X
    play stepd --tasks 2 -- /bin/echo ran
    exits 125
    prints ''
    says "srun did not prepare this step" "also where srun runs"
    # a variable alone does not make it believe
    SLURM_REPX_STEP_COMMAND=/bin/echo play stepd -- /bin/echo ran
    exits 125
    SLURM_REPX_STEP_MULTIPROG=/bin/repx-step-join play stepd -- /bin/echo ran
    exits 125
}

@test "a variable from outside does not pass for srun's mark" {
    SLURM_REPX_STEP_COMMAND=/bin/false SLURM_REPX_STEP_MULTIPROG=/x \
        play srun --opt repx-image=X -- /bin/echo ran
    exits 0
    prints ran
}

@test "heterogeneous steps with options are refused, without they run" {
    play srun --components 2 --opt repx-image=X -- /bin/echo ran
    exits 1
    prints ''
    says "a heterogeneous step cannot have --repx options"
    # srun goes on when the plugin is optional; the node does not
    play srun --optional --components 2 --opt repx-image=X -- /bin/echo ran
    exits 125
    prints ''
    says "a heterogeneous step cannot have" "srun did not prepare this step"
    play srun --components 2 --opt repx-image=none -- /bin/echo ran
    prints ran
    play srun --components 2 -- /bin/echo ran
    prints ran
}

@test "nothing fails towards slurmstepd; the task tells it and ends with 125" {
    local what
    for what in argv env uid; do
        # srun is told argv by another slurmstepd than the one under test
        _SLURM_SPANK_OPTION_repx_repx_image=X SLURM_REPX_STEP_COMMAND=/bin/echo \
            play stepd --tasks 2 --missing $what -- "$T/bin/repx-step-join" ran
        exits 125
        prints ''
        [[ $(lines_with 'stepd: error: repx: Slurm does not tell') -eq 1 ]] || show "$what"
    done
    play srun --opt repx-image=X --no-setenv -- /bin/echo ran
    exits 125
    prints ''
    says "Slurm does not take the variable REPX_STEP_FDS"
    # an optional plugin's failures would be ignored
    play srun --opt repx-image=X --no-setenv --optional -- /bin/echo ran
    exits 125
    prints ''
    play srun --opt repx-image=X --missing argv -- /bin/echo ran
    exits 1
    prints ''
}

@test "contain_spank: memory is shared with the child, descriptors are not" {
    FAKE_STEP=sandbox
    play srun --contain --tasks 2 --opt repx-image=X -- /bin/ls /mnt
    exits 0
    prints $'inside\ninside'
}

@test "job_container/tmpfs: the join program may lie where the task does not see it" {
    mkdir "$T/hidden"
    mv "$T/bin/repx-step-join" "$T/hidden/"
    site=(--arg "launcher=$T/bin/repx-launch" --arg "join=$T/hidden/repx-step-join")
    FAKE_STEP=sandbox
    play srun --hide "$T/hidden" --tasks 2 --opt repx-image=X -- /bin/sh -c \
        "ls /mnt '$T/hidden'; echo \$0" a
    exits 0
    [[ $(grep -c inside <<<"$out") -eq 2 && $out != *repx-step-join* ]] || show
}

@test "plugstack.conf: a wrong argument refuses --repx steps and no others" {
    site+=(--arg confg=/etc/repx.ini)
    play srun --opt repx-image=X -- /bin/echo ran
    exits 1
    prints ''
    says "plugstack.conf: 'confg=/etc/repx.ini' is no argument of repx.so"
    play srun -- /bin/echo ran
    exits 0
    prints ran
    # the node's own file is wrong
    _SLURM_SPANK_OPTION_repx_repx_image=X play stepd -- "$T/bin/repx-step-join" ran
    exits 125
    prints ''
    says "'confg=/etc/repx.ini' is no argument"
    _SLURM_SPANK_OPTION_repx_repx_network=host play stepd -- /bin/echo ran
    exits 125
    prints ''
}

@test "a launcher that others can change, or no configuration: refused on the node" {
    chmod 0775 "$T/bin/repx-launch"
    play srun --opt repx-image=X -- /bin/echo ran
    exits 125
    prints ''
    says "$T/bin/repx-launch can be written by others than root"
    chmod 0755 "$T/bin/repx-launch"
    chown $NOBODY "$T/bin/repx-step-join"
    play srun --opt repx-image=X -- /bin/echo ran
    exits 125
    says "repx-step-join belongs to uid $NOBODY"
    chown root "$T/bin/repx-step-join"
    site+=(--arg "config=$T/repx.ini")
    play srun --opt repx-image=X -- /bin/echo ran
    exits 125
    prints ''
    says "the site's configuration $T/repx.ini, which plugstack.conf names: No such file"
    play srun -- /bin/echo ran
    prints ran
    : >"$T/repx.ini"
    play srun --opt repx-image=X -- /bin/echo ran
    prints ran
    logged "start step=0 nodes=1 tasks=1 local=1 config=$T/repx.ini script="
    starts 1
}

@test "an option that Slurm does not know: not ours to tell" {
    play srun --opt repx-imgae=X -- /bin/echo ran
    exits 255
    says "unrecognized option '--repx-imgae=X'"
}

@test "control characters of the user do not reach the terminal" {
    play srun --opt $'repx-network=\e[31m' -- /bin/echo ran
    exits 255
    says 'repx: --repx-network=\x1b[31m'
}
