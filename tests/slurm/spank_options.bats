#!/usr/bin/env bats
# The plugin's options in a real Slurm: where they are given, how they travel, and that
# whatever is wrong ends in a sentence and an exit code, never in a drained node or a
# command that runs on the host.

load helpers

setup_file() {
    plugin_install
    plugin_start --nodes 2 --conf LaunchParameters=use_interactive_step \
        --conf TaskProlog="$PLUGIN/prolog"
    make_lab options --sweep 1 --stages 1
    IMAGE=$(echo "$LAB"/images/*)
    export IMAGE
}

teardown_file() {
    sandbox_stop
}

setup() {
    # TaskProlog of slurm.conf: each test may write one, all others do without
    printf '#!/bin/sh\n' >"$PLUGIN/prolog"
    chmod 0755 "$PLUGIN/prolog"
    plugstack_site
    cd / || return # visible in the sandbox, too
    O=$SHARED/$BATS_TEST_NUMBER
}

# Nothing in here may have drained a node.
teardown() {
    nodes_up
}

# step SRUN-ARGUMENT...: as the user; sets status, out and err.
step() {
    status=0
    as_user srun "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    out=$(<"$BATS_TEST_TMPDIR/out")
    err=$(<"$BATS_TEST_TMPDIR/err")
}

# script LINE...: a batch script that begins with these lines, at $O.sh.
script() {
    printf '%s\n' '#!/bin/sh' "$@" >"$O.sh"
    chmod 0755 "$O.sh"
}

# batch SBATCH-ARGUMENT...: submits $O.sh and waits; sets out and job.
batch() {
    job=$(as_user sbatch --parsable -o "$O.out" "$@" "$O.sh")
    finish "$job"
    out=$(<"$O.out")
}

job_ends() {
    [[ "$(job_field "$job" JobState) $(job_field "$job" ExitCode)" == "$1 $2" ]] || {
        scontrol show job "$job"
        echo "$out"
        return 1
    }
}

# What is in the sandbox only, and on the host only.
INSIDE='[ ! -e /etc/hostname ] && [ ! -e /root ] && echo inside || echo host'

@test "srun: each task is inside; nothing of the plugin reaches it" {
    step -N2 -n3 --repx-image="$IMAGE" /bin/sh -c "$INSIDE; env | grep -c REPX; echo \"\$0 \$1\"" 'a b' c
    ends 0
    [[ $(sort <<<"$out" | uniq -c | xargs) == '3 0 3 a b c 3 inside' ]] || show
    step -n1 /bin/sh -c "$INSIDE"
    prints host
}

@test "a command is looked up in the sandbox, not on the host" {
    step -n1 --repx-image="$IMAGE" sh -c "$INSIDE"
    prints inside
    printf '#!/bin/sh\necho host\n' >"$SHARED/hosttool"
    chmod 0755 "$SHARED/hosttool"
    PATH=$SHARED:$PATH step -n1 --repx-image="$IMAGE" hosttool
    ends 127
    prints ''
    says "repx: n" "command 'hosttool' is not there in the sandbox"
    cd "$SHARED"
    step -n1 --repx-image="$IMAGE" ./hosttool
    ends 127
    prints ''
    step -n1 --repx-image="$IMAGE" --repx-mount-path="$SHARED/hosttool" ./hosttool
    ends 0
    prints host
}

@test "wrong values fail where they are typed, nothing is submitted" {
    step -n1 --repx-image="$IMAGE" --repx-network=bridge true
    ends 255
    says "srun: error: repx: --repx-network=bridge" "neither none nor host"
    step -n1 --repx-image="$IMAGE" --repx-bwrap --repx-docker true
    ends 1
    says "two runtimes are asked for: bwrap and docker"
    script "#SBATCH --repx-network=bridge" "echo ran"
    run as_user sbatch "$O.sh"
    [[ $status -eq 255 && $output == *"sbatch: error: repx: --repx-network=bridge"* ]]
    run as_user salloc -n1 --repx-grace=soon true
    [[ $status -eq 255 && $output == *"'soon' is not a whole number"* ]]
    [[ -z $(squeue -h) ]]
}

# Past srun's callbacks; the node has to look again.
@test "values set directly in the environment are checked as well" {
    export _SLURM_SPANK_OPTION_repx_repx_image=$IMAGE
    step -n1 /bin/sh -c "$INSIDE"
    ends 0
    prints inside
    export _SLURM_SPANK_OPTION_repx_repx_network=bridge
    step -n1 /bin/sh -c "$INSIDE"
    ends 1
    prints ''
    says "option --network: 'bridge'"
}

@test "heterogeneous steps are refused" {
    step -n1 --repx-image="$IMAGE" /bin/sh -c "$INSIDE" : -n1 /bin/sh -c "$INSIDE"
    ends 1
    prints ''
    says "a heterogeneous step cannot have --repx options"
    step -n1 /bin/sh -c "$INSIDE" : -n1 --repx-image="$IMAGE" /bin/sh -c "$INSIDE"
    ends 1
    prints ''
    step -n1 /bin/sh -c "$INSIDE" : -n1 /bin/sh -c "$INSIDE"
    prints $'host\nhost'
}

@test "--multi-prog: every program is inside" {
    printf '%s\n' '# comment' "0 /bin/sh -c '$INSIDE'" "1-2 /bin/sh -c '$INSIDE; echo \$*' \\" ' %t %o' \
        "* /bin/sh -c 'exit 3'" >"$O.conf"
    # a variable from outside is no command of theirs
    SLURM_REPX_STEP_COMMAND=/bin/false step -N1 -n3 -l --repx-image="$IMAGE" --multi-prog "$O.conf"
    ends 0
    [[ $(sort <<<"$out") == $'0: inside\n1: 1 0\n1: inside\n2: 2 1\n2: inside' ]] || show
    step -N1 -n4 --repx-image="$IMAGE" --multi-prog "$O.conf"
    ends 3
}

@test "sbatch: the script stays on the host, its steps inherit, each can override" {
    script "$INSIDE" 'env | grep ^REPX_IMAGE' "srun -n1 /bin/sh -c '$INSIDE'" \
        "srun -n1 --repx-image=none /bin/sh -c '$INSIDE'" \
        "srun -n1 --repx-image= /bin/sh -c '$INSIDE'" \
        "srun -n1 --repx-image=/nosuch /bin/sh -c '$INSIDE'; echo \$?" \
        "$PLUGIN/repx-launch exec -- /bin/sh -c '$INSIDE'"
    batch --repx-image="$IMAGE"
    job_ends COMPLETED 0:0
    [[ $(grep -v -e /nosuch -e ^srun: <<<"$out") == \
        "$(printf '%s\n' host "REPX_IMAGE=$IMAGE" inside host host 125 inside)" ]] || { echo "$out"; return 1; }
    grep -q 'repx: n[12]: .*/nosuch' <<<"$out"
    sed -i "2i #SBATCH --repx-image=$IMAGE" "$O.sh"
    batch
    [[ $(grep -c inside <<<"$out") -eq 2 ]] || { echo "$out"; return 1; }
}

@test "--export=NONE and --export=LIST lose no option" {
    local exported
    script "$INSIDE" 'env | grep ^REPX_IMAGE' "/usr/bin/srun -n1 /bin/sh -c '$INSIDE'"
    for exported in NONE PATH,HOME; do
        batch --export=$exported --repx-image="$IMAGE"
        job_ends COMPLETED 0:0
        [[ $out == $'host\nREPX_IMAGE='"$IMAGE"$'\ninside' ]] || { echo "$out"; return 1; }
        batch --export=$exported --repx-image="$IMAGE" --repx-batch-script
        [[ $(head -n 1 <<<"$out") == inside ]] || { echo "$out"; return 1; }
        step -n1 --export=$exported --repx-image="$IMAGE" /bin/sh -c "$INSIDE"
        prints inside
    done
}

@test "--repx-batch-script: the script itself is inside" {
    script "$INSIDE" 'echo "$1"; exit 7'
    job=$(as_user sbatch --parsable -o "$O.out" --repx-image="$IMAGE" --repx-batch-script "$O.sh" arg)
    finish "$job"
    out=$(<"$O.out")
    [[ $out == $'inside\narg' ]] || { echo "$out"; return 1; }
    job_ends FAILED 7:0
}

@test "salloc: the shell stays on the host, its steps inherit; --repx-batch-script" {
    run as_user salloc -Q -n1 --repx-image="$IMAGE" srun -n1 /bin/sh -c "$INSIDE"
    [[ $status -eq 0 && $output == inside ]] || { echo "$output"; return 1; }
    run as_user salloc -Q -n1 --repx-image="$IMAGE" srun -n1 --repx-image=none /bin/sh -c "$INSIDE"
    [[ $status -eq 0 && $output == host ]] || { echo "$output"; return 1; }
    run bash -c "echo '$INSIDE' | '$SCRIPTS/slurm-sandbox' exec --dir '$SANDBOX' -- \
        env SHELL=/bin/sh salloc -Q -n1 --repx-image='$IMAGE' 2>/dev/null"
    [[ $output == *host* ]] || { echo "$output"; return 1; }
    run bash -c "echo '$INSIDE' | '$SCRIPTS/slurm-sandbox' exec --dir '$SANDBOX' -- \
        env SHELL=/bin/sh salloc -Q -n1 --repx-image='$IMAGE' --repx-batch-script 2>/dev/null"
    [[ $output == *inside* ]] || { echo "$output"; return 1; }
}

@test "options without an image are defaults for the launchers of the step" {
    step -n1 --repx-image=none --repx-network=host --repx-env='A=1\,2' --repx-mount-host-paths=no \
        /bin/sh -c 'printenv REPX_NETWORK REPX_ENV REPX_MOUNT_HOST_PATHS'
    ends 0
    prints $'host\nA=1,2\n\nno'
    step -n1 --repx-env=A=1 "$PLUGIN/repx-launch" exec --image "$IMAGE" --base-path "$SHARED/b" -- \
        /bin/sh -c 'echo $A'
    prints 1
}

@test "TaskProlog, --task-prolog and TMPDIR act on the host; their variables pass" {
    printf '#!/bin/sh\necho "print site prolog $(cat /etc/hostname >/dev/null && echo host)"\n%s\n' \
        'echo "export SLURM_FROM_SITE=1"' >"$PLUGIN/prolog"
    printf '#!/bin/sh\necho "print user prolog"\necho "export SLURM_FROM_USER=2"\n' >"$O.prolog"
    chmod 0755 "$O.prolog"
    step -n1 --task-prolog="$O.prolog" --repx-image="$IMAGE" \
        /bin/sh -c "$INSIDE; echo \$SLURM_FROM_SITE \$SLURM_FROM_USER"
    ends 0
    prints $'site prolog host\nuser prolog\ninside\n1 2'
    # slurmstepd makes TMPDIR on the host, without a warning about what it does not see
    TMPDIR=$SHARED/tmp-$BATS_TEST_NUMBER step -n1 --repx-image="$IMAGE" /bin/sh -c "$INSIDE"
    prints $'site prolog host\ninside'
    [[ -z $err ]] || show
    printf '#!/bin/sh\nexit 9\n' >"$O.prolog"
    step -n1 --task-prolog="$O.prolog" --repx-image="$IMAGE" /bin/sh -c "$INSIDE"
    ends 9
    prints 'site prolog host'
}

@test "required and optional, srun and sbatch: a failure on the node is the same" {
    local kind
    script 'echo ran'
    for kind in required optional; do
        plugstack "$kind $PLUGIN/repx.so config=$PLUGIN/missing.ini launcher=$PLUGIN/repx-launch join=$PLUGIN/repx-step-join"
        step -N2 -n4 --repx-image="$IMAGE" /bin/echo ran
        ends 125
        prints ''
        says "slurmstepd-n1: error: repx: the site's configuration $PLUGIN/missing.ini"
        [[ $(grep -c 'repx: the site' <<<"$err") -eq 2 ]] || show
        batch --repx-image="$IMAGE" --repx-batch-script
        job_ends FAILED 125:0
        [[ $out == *"repx: the site's configuration"* && $out != *ran* ]] || { echo "$out"; return 1; }
        # steps without options are left alone
        step -n1 /bin/echo ran
        prints ran
        plugstack "$kind $PLUGIN/repx.so confg=x"
        step -n1 --repx-image="$IMAGE" /bin/echo ran
        [[ $status -ne 0 ]]
        prints ''
        says "'confg=x' is no argument of repx.so"
        step -n1 /bin/echo ran
        prints ran
    done
}

@test "a broken site file refuses --repx steps with its reason" {
    cp "$PLUGIN/repx.ini" "$PLUGIN/good.ini"
    printf '[policy]\nallowd_runtimes = ["bwrap"]\n' >"$PLUGIN/repx.ini"
    step -n1 --repx-image="$IMAGE" /bin/echo ran
    cp "$PLUGIN/good.ini" "$PLUGIN/repx.ini"
    ends 125
    prints ''
    says "repx: n1: " "$PLUGIN/repx.ini:2: unknown key 'allowd_runtimes'"
    chmod 0666 "$PLUGIN/repx.ini"
    step -n1 --repx-image="$IMAGE" /bin/echo ran
    chmod 0644 "$PLUGIN/repx.ini"
    ends 125
    prints ''
    says "$PLUGIN/repx.ini"
}

@test "the site's policy binds on the node, whatever the user sets" {
    cp "$PLUGIN/repx.ini" "$PLUGIN/good.ini"
    printf '[policy]\nallowed_runtimes = ["bwrap"]\nallow_host_network = false\n' >>"$PLUGIN/repx.ini"
    : >"$SHARED/mine.ini"
    step -n1 --repx-image="$IMAGE" --repx-network=host /bin/echo ran
    local first=$status$out
    REPX_CONFIG=$SHARED/mine.ini step -n1 --repx-image="$IMAGE" --repx-config="$SHARED/mine.ini" \
        --repx-native /bin/echo ran
    cp "$PLUGIN/good.ini" "$PLUGIN/repx.ini"
    [[ $first == 125 ]] || show "$first"
    ends 125
    prints ''
    says "is not allowed here"
}

# on_node NODE COMMAND...: as root, with the view of its slurmd.
on_node() {
    local pid node=$1
    shift
    read -r pid _ <"$SANDBOX/run/slurmd.$node.record"
    nsenter --mount --target "$pid" "$@"
}

@test "a node without the plugin does not run the command" {
    printf '* /bin/echo ran\n' >"$O.conf"
    : >"$O.empty"
    on_node n2 mount --bind "$O.empty" "$PLUGIN/plugstack.conf"
    step -N2 -n2 -l --repx-image="$IMAGE" /bin/echo ran
    ends 125
    prints '0: ran'
    says "repx: n2: this node did not prepare the step's sandbox" plugstack.conf
    step -w n2 -n1 --repx-image="$IMAGE" --multi-prog "$O.conf"
    ends 125
    prints ''
    says "repx: n2: this node did not prepare"
    step -w n2 -n1 /bin/echo ran
    prints ran
    on_node n2 umount "$PLUGIN/plugstack.conf"
    # not even the join program is there
    on_node n2 mount -t tmpfs tmpfs "$PLUGIN"
    on_node n2 touch "$PLUGIN/plugstack.conf"
    on_node n2 cp /bin/true "$PLUGIN/prolog"
    step -w n2 -n1 --repx-image="$IMAGE" /bin/echo ran
    on_node n2 umount "$PLUGIN"
    ends 2
    prints ''
    says "execve(): $PLUGIN/repx-step-join: No such file"
    step -w n2 -n1 --repx-image="$IMAGE" /bin/echo ran
    prints ran
}

@test "an srun without the plugin cannot get a step past the nodes" {
    sed "s|^PlugStackConfig=.*|PlugStackConfig=$PLUGIN/none.conf|" "$SLURM_CONF" \
        >"$SHARED/client.conf"
    : >"$PLUGIN/none.conf"
    status=0
    as_user env SLURM_CONF="$SHARED/client.conf" _SLURM_SPANK_OPTION_repx_repx_image="$IMAGE" \
        srun -n1 /bin/echo ran </dev/null >"$BATS_TEST_TMPDIR/out" \
        2>"$BATS_TEST_TMPDIR/err" || status=$?
    out=$(<"$BATS_TEST_TMPDIR/out")
    err=$(<"$BATS_TEST_TMPDIR/err")
    ends 125
    prints ''
    says "srun did not prepare this step for a sandbox"
}
