#!/usr/bin/env bats
# What the tasks of a step find in the sandbox that they share, in each runtime whose
# sandbox can be entered. tests/step_host.py plays slurmstepd and the join program.
# shellcheck disable=SC2154 # runtime and user: of each

load ../helpers
load runtimes

RUNTIMES=${RUNTIMES:-bwrap podman}

setup_file() {
    conformance_setup 1
}

teardown_file() {
    conformance_teardown
}

setup() {
    conformance_begin
    image=$FILES/images/docker.tar
}

teardown() {
    test_end
}

# step OPTIONS OF step_host.py -- OPTIONS OF THE STEP: as step_host; must end well.
step() {
    local STEP_HOST=("${AS[@]}" "$FILES/bin/step_host.py") STEP_OPTIONS=("--image=$image")
    step_host "$@"
    [[ $status -eq 0 && $(jq -r .phase <<<"$answer") == ready ]] || show "answer: $answer"
}

# One sandbox: /dev/shm, /tmp and the namespaces are the same for all tasks, and there is
# nothing else that could be written.
one_sandbox() {
    step --join 'echo one >/dev/shm/mark; echo two >/tmp/mark; readlink /proc/self/ns/mnt; id -u; id -g; id -un' \
        --join 'cat /dev/shm/mark /tmp/mark; readlink /proc/self/ns/mnt; ls -A /.repx 2>/dev/null
            for d in / /bin /etc /dev /data; do touch $d/new 2>&1; done | sed "s/.*: //" | sort | uniq -c | sed "s/^ *//"'
    local lines
    mapfile -t lines <<<"$out"
    [[ ${lines[0]} == "mnt:"* && ${lines[0]} == "${lines[6]}" ]] || show 'not the same mounts'
    [[ "${lines[*]:1:5}" == "$ME one two" ]] || show "not shared, or another user than $ME"
    [[ ${lines[*]:7} == '5 Read-only file system' ]] || show 'not read-only'
}

@test "one sandbox for all tasks: what they share, the read-only root, the user" {
    each one_sandbox
}

# namespaces SHARED [OPTION...]: those of processes and control groups are the host's, as
# tasks come from there, and SHARED; root has nobody to map in podman. /proc fits.
namespaces() {
    local name host shared="pid cgroup $1"
    [[ $runtime != podman || ${ME%% *} -ne 0 ]] || shared+=' user'
    step --join 'for name in pid cgroup mnt user ipc uts net; do readlink /proc/self/ns/$name; done
        [ -d /proc/$$ ] && [ $$ != 1 ] && echo as on the host' -- "${@:2}"
    for name in pid cgroup mnt user ipc uts net; do
        host=$("${AS[@]}" readlink "/proc/self/ns/$name")
        if [[ " $shared " == *" $name "* ]]; then
            grep -qxF "$host" <<<"$out" || show "$name is not the host's"
        else
            refute grep -qxF "$host" <<<"$out"
        fi
    done
    [[ $(wc -l <<<"$out") -eq 8 && $out == *$'\nas on the host' ]] || show 'other process numbers'
}

own_network() {
    namespaces ''
    step --join 'ip -o link | wc -l'
    [[ $out == 1 ]] || show 'more than loopback'
}

host_network() {
    namespaces net --network=host
}

@test "namespaces: none is the host's but those of processes and control groups" {
    each own_network
}

@test "namespaces: the network is the host's with --network=host" {
    each host_network
}

# Once the sandbox is there no process of it is, and no file: the tasks come later.
nothing_is_left() {
    local check="! '$FILES/bin/repx_rules.py' processes '$LOCAL' | grep -v step_host &&
        ! find '$LOCAL/repx/engines' -mindepth 1 2>/dev/null | grep -v '/lock\$' &&
        ! find /tmp -maxdepth 2 -name launch -lname '$LOCAL/*' 2>/dev/null | grep ."
    step --run "$check" --join 'cat /data/keep /etc/passwd >/dev/null && echo 1 >/tmp/x && ls /bin/sh'
    [[ $out == /bin/sh ]] || show 'the sandbox is damaged'
}

@test "no process and no file is left of the making, and the sandbox is whole" {
    each nothing_is_left
}

# begun: the launcher is there and has begun with the sandbox.
begun() {
    launcher=$(pgrep -f "^$LAUNCH step") && [[ $runtime != podman || -n $(ls -d "$LOCAL"/repx/engines/repx-*) ]]
} 2>/dev/null

# Killed at one moment or another, which the machine chooses; the next step is made, and
# removes what that one has left.
killed() {
    local host launcher pause
    for pause in 0 0.08 0.16; do
        "${AS[@]}" "$FILES/bin/step_host.py" "$LAUNCH" "--image=$image" </dev/null >"$T/killed" 2>&1 &
        host=$!
        until begun || ! kill -0 "$host" 2>/dev/null; do :; done
        sleep "$pause"
        kill -KILL "$launcher" 2>/dev/null || true
        wait "$host" || show "$(<"$T/killed")"
    done
    nothing_is_left
}

@test "a launcher that is killed: the next one makes the sandbox and cleans up" {
    each killed
}

in_use() {
    step --run "'$LAUNCH' cache prune --all >/dev/null" --join 'cat /data/keep'
    [[ -n $out ]] || show 'the image was taken away'
}

@test "the image is in use as long as the step's queue is there" {
    each in_use
}

# Names that mean something to some option parser; on what the image lacks, on what it
# has, below a tmpfs, below each other, and many.
mounts() {
    local odd="$T/a b\"c'd\\e" options=() n
    mkdir -p "$odd/deep" "$T/rw/below" "$T/many"
    echo text >"$odd/file"
    chmod -R a+rwX "$T/rw" "$odd"
    options=("--mount-path=${odd//\\/\\\\}:/new/x y" "--mount-path=${odd//\\/\\\\}/file:/plain"
        "--mount-path=${odd//\\/\\\\}:/tmp/in tmp" "--mount-path=$T/rw:/data:rw"
        "--mount-path=$T/many:/data/below")
    for ((n = 0; n < 100; n++)); do
        options+=("--mount-path=$T/many:/many/$((n % 10))/$n")
    done
    step --join 'cat "/new/x y/file" /plain "/tmp/in tmp/file"; echo made >/data/made
        for d in "/new/x y" /new /data/below /many/1 /many/1/1 "/tmp/in tmp"; do
            touch "$d/no" 2>/dev/null || echo sealed
        done; ls -d /many/*/* | wc -l' -- "${options[@]}"
    [[ $out == $'text\ntext\ntext\nsealed\nsealed\nsealed\nsealed\nsealed\nsealed\n100' ]] || show
    [[ $(<"$T/rw/made") == made && $(stat -c '%u %g' "$T/rw/made") == "${ME% *}" ]] || show 'not the user'"'"'s'
    rm "$T/rw/made"
}

@test "mounts: odd names, everywhere, many; read-only and read-write" {
    each mounts
}

# The directory of a PMIx server, and the hardware that MPI libraries look at.
for_mpi() {
    mkdir -p "$T/slurmd-$user-$runtime/pmix.7.0"
    echo data >"$T/slurmd-$user-$runtime/pmix.7.0/segment"
    chown -R "${ME%% *}" "$T/slurmd-$user-$runtime/pmix.7.0"
    chmod 0755 "$T/slurmd-$user-$runtime"
    chmod 0700 "$T/slurmd-$user-$runtime/pmix.7.0"
    export PMIX_SERVER_TMPDIR=$T/slurmd-$user-$runtime/pmix.7.0 SLURM_MPI_TYPE=pmix
    step --join "cat $PMIX_SERVER_TMPDIR/segment; echo w >$PMIX_SERVER_TMPDIR/new
        ls /sys/devices/system/cpu/online; touch /sys/x 2>&1 | sed 's/.*: //'"
    unset PMIX_SERVER_TMPDIR SLURM_MPI_TYPE
    [[ $out == $'data\n/sys/devices/system/cpu/online\nRead-only file system' ]] || show
    [[ $(<"$T/slurmd-$user-$runtime/pmix.7.0/new") == w ]] || show 'not shared'
}

@test "what an MPI library needs of the node" {
    each for_mpi
}

# Root has something set for it, an ordinary user's task finds nothing to set at all.
sealed() {
    step --join 'for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname; do
        [ "$(cat $f 2>/dev/null)" = x ] || { echo x >$f; } 2>/dev/null && echo "wrote $f"; done; echo end'
    [[ $out == end ]] || show 'the machine can be set'
}

@test "nothing of the machine can be set" {
    each sealed
}

# The answers are the same, whatever has made the sandbox.
@test "the same environment, directory and root in each" {
    local answers='' roots=''
    for runtime in $RUNTIMES; do
        become self
        export REPX_RUNTIME=$runtime
        step --join 'ls -A / | grep -v "^.repx$"; cat /etc/passwd /etc/group; hostname' -- --env=A=1 --gpus=none
        answers+=$(jq -Sc 'del(.namespace, .descriptors)' <<<"$answer")$'\n'
        roots+=$(md5sum <<<"$out")$'\n'
    done
    [[ $(sort -u <<<"$answers" | grep -c .) -eq 1 ]] || show "$answers"
    [[ $(sort -u <<<"$roots" | grep -c .) -eq 1 ]] || show 'not the same root'
}
