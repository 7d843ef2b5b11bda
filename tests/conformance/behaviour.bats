#!/usr/bin/env bats
# How a job runs and ends (CONTRACT section 6), the same in every runtime, native
# included; and what podman and docker could do differently from bwrap: mounts, leftovers,
# configuration of the user's, what a killed launcher leaves.

load ../helpers
load runtimes

RUNTIMES=${RUNTIMES:-bwrap podman docker native}
runtime='' user='' # of the check that is under way

setup_file() {
    conformance_setup 1
}

teardown_file() {
    conformance_teardown
}

setup() {
    conformance_begin
    # shellcheck disable=SC2153 # FILES: of conformance_setup
    image=$FILES/images/docker.tar
    use_lab "$FILES/sim-lab"
    mkdir "$T/host"
}

teardown() {
    if [[ -n ${launcher:-} ]]; then
        kill -KILL "$launcher" 2>/dev/null || true
    fi
    test_end
}

# One unprivileged user; root has a test of its own.
users() {
    if [[ $(id -u) -eq 0 ]]; then
        echo nobody
    else
        echo self
    fi
}

# in_each FUNCTION [sandbox]: as each, in every runtime that is tested, or in every
# sandbox.
in_each() {
    local function=$1
    for runtime in $RUNTIMES; do
        [[ ${2:-} != sandbox || $runtime != native ]] || continue
        for user in $(users); do
            become "$user"
            export REPX_RUNTIME=$runtime
            echo "in $runtime as $user:"
            "$function"
        done
    done
}

# in_image COMMAND...: in the image, from standard input.
in_image() {
    status=0
    "${AS[@]}" "$LAUNCH" exec --image "$image" ${options[@]+"${options[@]}"} -- "$@" \
        <"${STDIN:-/dev/null}" >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(head -c 65536 "$T/stdout" | tr -d '\0')
    err=$(head -c 65536 "$T/stderr" | tr -d '\0')
}

# ended_with CODE: the code that comes of it, and in a file what was said.
ended_with() {
    local got=0
    "${AS[@]}" "$LAUNCH" exec --image "$image" -- /bin/sh -c "exit $1" \
        </dev/null >"$T/said.$1" 2>&1 || got=$?
    echo "$1 $got"
}

# Some at once: an engine waits more than it works.
exit_codes() {
    local code
    for code in {0..255}; do
        ended_with "$code" &
        ((code % 4 != 3)) || wait
    done >"$T/ended"
    sort -n "$T/ended" | diff <(paste -d' ' <(seq 0 255) <(seq 0 255)) -
    ! grep -v 'no isolation\|^$' "$T"/said.* || show 'the job has said nothing'
}

@test "exit codes are the job's, also those that runtimes use themselves" {
    in_each exit_codes
}

killed() {
    # shellcheck disable=SC2016
    in_image /bin/sh -c 'kill -9 $$'
    exits 137
    # shellcheck disable=SC2016
    in_image /bin/sh -c 'kill -SEGV $$'
    exits 139
}

@test "a job that a signal kills: 128 and its number" {
    in_each killed
}

not_started() {
    in_image /no/such/program
    exits 127
    says "'/no/such/program'"
    in_image no-such-program
    exits 127
    in_image /etc/passwd
    exits 126
    says "'/etc/passwd'"
}

@test "a command that is missing: 127; one that cannot be executed: 126" {
    in_each not_started
}

no_directory() {
    options=(--workdir /no/such/directory)
    in_image /bin/true
    exits 125
    says "'/no/such/directory'"
}

@test "a working directory that the sandbox does not have: 125" {
    in_each no_directory sandbox
}

streams() {
    head -c 3000000 /dev/urandom >"$T/input"
    chmod 0644 "$T/input"
    # shellcheck disable=SC2016
    STDIN=$T/input in_image /bin/sh -c 'cat; echo to-stderr >&2; head -c 20000000 /dev/zero'
    exits 0
    [[ $(grep -v 'no isolation' <<<"$err") == to-stderr ]] || show 'stderr'
    [[ $(stat -c %s "$T/stdout") -eq 23000000 ]] || show 'size of stdout'
    cmp -n 3000000 "$T/input" "$T/stdout"
    # the very files: what the job writes is there at once, and it can look at them
    # shellcheck disable=SC2016
    STDIN=$T/input in_image /bin/sh -c 'stat -L -c %i /proc/self/fd/0 /proc/self/fd/1'
    [[ $out == "$(stat -c %i "$T/input" "$T/stdout")" ]] || show 'not our files'
}

@test "stdin, stdout and stderr are the caller's own files, megabytes of them" {
    in_each streams
}

# started TEXT: the job has printed it.
started() {
    grep -qs "$1" "$T/stdout"
}

# in_background SCRIPT: a job that prints "ready"; launcher is whom to wait for.
in_background() {
    : >"$T/stdout"
    "${AS[@]}" "$LAUNCH" exec --image "$image" ${options[@]+"${options[@]}"} -- /bin/sh -c "$1
        while :; do sleep 0.05; done" </dev/null >"$T/stdout" 2>"$T/stderr" &
    launcher=$!
    await started ready
}

# ends CODE: the job in the background has; sets out and err.
ends() {
    status=0
    wait "$launcher" || status=$?
    launcher=''
    out=$(<"$T/stdout") err=$(<"$T/stderr")
    exits "$1"
}

signals() {
    # the runtimes' own helpers get the signals of a cancelled job step as well
    # shellcheck disable=SC2016
    in_background '
        for s in USR1 USR2 HUP INT; do trap "echo got $s" $s; done
        trap "echo got TERM; exit 9" TERM
        echo ready'
    for s in USR1 USR2 HUP INT TERM; do
        kill "-$s" "$(launcher_pid)"
        await started "got $s"
    done
    ends 9
    prints $'ready\ngot USR1\ngot USR2\ngot HUP\ngot INT\ngot TERM'
}

# The launcher itself: what stands before it in the command line has executed it, but for
# the shell function around it.
launcher_pid() {
    if [[ ${AS[0]:-} == in_namespace ]]; then
        pgrep -P "$launcher" || echo "$launcher"
    else
        echo "$launcher"
    fi
}

@test "signals reach the job once each; the first one that stops does not end it at once" {
    in_each signals
}

stubborn() {
    local options=(--grace 1)
    in_background "trap '' TERM; echo ready"
    kill -TERM "$(launcher_pid)"
    ends 137
    none_left
    nothing_kept
}

# nothing_kept: no container, no directory of a launch.
nothing_kept() {
    [[ -z $(find "$LOCAL/repx/engines" -mindepth 1 -maxdepth 1 -type d 2>/dev/null) ]] ||
        { find "$LOCAL/repx/engines"; return 1; }
    [[ -z $(find /tmp -maxdepth 2 -path '/tmp/repx-*/launch' -lname "$LOCAL/*") ]] ||
        { ls -l /tmp/repx-*/launch; return 1; }
    [[ $runtime != docker || -z $(docker ps -aq) ]] || { docker ps -a; return 1; }
    await no_process "$LOCAL/repx/engines" || { processes "$LOCAL/repx/engines"; return 1; }
}

@test "a job that does not stop is killed after its grace; nothing is left" {
    in_each stubborn
}

# As podman does by itself when it is asked to stop before it passes signals on.
client_killed() {
    local client
    in_background 'trap "echo got TERM; exit 9" TERM; echo ready'
    client=$(pgrep -P "$(launcher_pid)" -x "$runtime")
    kill -KILL "$client"
    await has_ended "$client"
    kill -TERM "$(launcher_pid)"
    ends 9
    prints $'ready\ngot TERM'
    in_image /bin/true
    nothing_kept
}

# has_ended PID: its parent may not have waited for it yet.
has_ended() {
    ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"
}

@test "an engine whose program ends early does not take the job along" {
    RUNTIMES=$(tr ' ' '\n' <<<"$RUNTIMES" | grep -x 'podman\|docker' | paste -sd ' ') in_each client_killed
}

launcher_killed() {
    options=(-e "MARK=$T/job")
    in_background 'echo ready'
    options=()
    kill -KILL "$(launcher_pid)"
    wait "$launcher" || true
    launcher=''
    await no_process "$T/job" || { processes "$T/job"; return 1; }
    # the next launch takes away what only it can
    in_image /bin/true
    exits 0
    nothing_kept
}

@test "a launcher that is killed takes its job along; the next one cleans up" {
    in_each launcher_killed sandbox
}

# tree_sum DIRECTORY: of everything in it.
tree_sum() {
    (cd "$1" && find . -printf '%p %y %m %U %G %s %T@ %l\n' | sort
     find . -type f -exec sha256sum {} + | sort) | sha256sum
}

mounts_everywhere() {
    local before i rootfs
    mkdir -p "$T/host/dir" "$T/host/outer/in"
    echo dir >"$T/host/dir/file"
    echo file >"$T/host/file"
    echo outer >"$T/host/outer/file"
    chmod -R a+rX "$T/host"
    in_image /bin/true
    rootfs=$(echo "$LOCAL"/repx/store-v1/rootfs/*/root)
    before=$(tree_sum "$rootfs")
    # on a directory, on a file, in something new, in that, below a file
    options=(-m "$T/host/dir:/data" -m "$T/host/file:/run.sh" -m "$T/host/outer:/opt/new"
        -m "$T/host/dir:/opt/new/in" -m "$T/host/dir:/plain/under")
    # shellcheck disable=SC2016
    in_image /bin/sh -c 'cat /data/file /run.sh /opt/new/file /opt/new/in/file /plain/under/file; ls /data
        for d in /data /opt /opt/new /opt/new/in /plain /; do echo x >$d/new-file; done'
    exits 1
    prints $'dir\nfile\nouter\ndir\ndir\nfile'
    [[ $(grep -c 'Read-only file system' <<<"$err") -eq 6 ]] || show
    options=()
    for ((i = 0; i < 300; i++)); do
        options+=(-m "$T/host/dir:/mnt/$((i % 10))/x$i")
    done
    in_image /bin/sh -c 'cat /mnt/*/x*/file | wc -l'
    exits 0
    prints 300
    # a mount point that the engine would have to make in a directory of the host
    options=(-m "$T/host/outer:/opt" -m "$T/host/dir:/opt/lacking")
    in_image /bin/true
    exits 125
    absent "$T/host/outer/lacking"
    [[ $(tree_sum "$rootfs") == "$before" ]] || show 'the store has changed'
}

@test "mounts: on directories and files, below them, new, nested, 300; the store stays as it is" {
    in_each mounts_everywhere sandbox
}

bare() {
    image=$FILES/images/bare-dir
    before=$(tree_sum "$image")
    in_image /busybox sh -c '/busybox id -u; /busybox id -un; /busybox pwd; /busybox ls -A / | /busybox grep -v "^\.repx$\|^\.dockerenv$\|^sys$"'
    exits 0
    prints "${ME%% *}"$'\n'"${ME##* }"$'\n/\nbusybox\ndev\netc\nproc\ntmp'
    [[ $(tree_sum "$image") == "$before" ]] || show 'the image has changed'
}

@test "an image with one program and nothing else" {
    in_each bare sandbox
}

# Everything that a configuration of the user's can do to containers.
hostile_configuration() {
    local home=$HOME config
    mkdir -p "$home/.config/containers/hooks" "$home/.docker"
    config=$home/.config/containers
    cat >"$config/containers.conf" <<CONF
[containers]
env = ["FROM_CONF=1"]
volumes = ["$T/host:/from-conf"]
netns = "host"
default_capabilities = ["CHOWN"]
[engine]
hooks_dir = ["$config/hooks"]
CONF
    cp "$config/containers.conf" "$T/host/containers.conf"
    echo '{"proxies":{"default":{"httpProxy":"http://proxy:1"}}}' >"$home/.docker/config.json"
    chmod -R a+rX "$T/host"
    [[ $(id -u) -ne 0 ]] || chown -R nobody: "$home"
    CONTAINERS_CONF=$T/host/containers.conf CONTAINERS_CONF_OVERRIDE=$T/host/containers.conf \
        http_proxy=http://proxy:1 DOCKER_CONTEXT=other BUILDAH_ISOLATION=chroot \
        in_image /bin/sh -c 'env | sort; ls -d /from-conf; tail -n +3 /proc/net/dev | wc -l; grep CapBnd /proc/self/status'
    [[ $(grep -v '^\(SHLVL\|_\|OLDPWD\)=' <<<"$out") == $'FROM_IMAGE=yes\nHOME=/tmp\nPATH=/bin\nPWD=/data\nTERM=xterm\n1\nCapBnd:\t0000000000000000' ]] || show
}

@test "podman's and docker's own configuration does not act on a job" {
    unset LANG TZ "${!LC_@}" "${!OMP_@}" "${!NVIDIA_@}" CUDA_VISIBLE_DEVICES
    in_each hostile_configuration sandbox
}

# facts: what can be seen of the sandbox, without what differs from launch to launch.
readonly facts='env | grep -v "^SHLVL=\|^_=\|^OLDPWD="; id; pwd; hostname; umask; ulimit -a
    cut -d" " -f5- /proc/self/mountinfo | sed "s/repx-[0-9a-f]\{16\}/repx-ID/g; s|/overlay2/[^,: ]*|/overlay2/X|g; s/ \(master\|shared\):[0-9]*/ \1:N/g; s/ - \([^ ]*\) \([^ ]*\) / - \1 \2 /; s/,upperdir=.*//" | sort
    ls -A / /dev /etc; cat /etc/passwd /etc/group; grep "^Cap\|^NoNew\|^Seccomp\|^Cpus_allowed:" /proc/self/status'

debug_is_run() {
    local id
    use_lab "$T/sim-lab"
    id=$(job stage-A)
    printf '#!%s\nexport PATH=$PATH\n%s\necho 1 >"$1/numbers.txt"\n' "$NIX_SHELL" "$facts" | set_script "$id"
    launch run "$id"
    exits 0
    cp "$(repx_of "$id")/stdout.log" "$T/run"
    launch debug-run "$id" -- "$NIX_SHELL" -c "$facts"
    exits 0
    diff "$T/run" "$T/stdout"
    [[ $runtime != docker && $runtime != podman ]] || [[ $(wc -l <"$T/run") -gt 40 ]] || show
    grep '=' "$T/run" | grep -v ' ' >"$T/env-$runtime"
    if [[ -s $T/env-bwrap ]]; then
        diff <(sed "s|/nobody-bwrap/|/nobody-$runtime/|" "$T/env-bwrap") "$T/env-$runtime"
    fi
}

@test "debug-run: the mounts, the environment and the rest of run, and the same environment in each" {
    cp -a "$FILES/sim-lab" "$T/sim-lab"
    use_lab "$T/sim-lab"
    export REPX_NO_VERIFY_LAB=1
    reseal() { :; }
    NIX_SHELL=$(head -n 1 "$(script "$(job stage-A)")" | cut -c3-)
    in_each debug_is_run sandbox
}

terminal() {
    # a terminal of its own for the launcher: script(1) makes it
    status=0
    "${AS[@]}" script -qefc "$LAUNCH exec --image $image -- /bin/sh -c 'test -t 0 && test -t 1 && read line && echo read=\$line; exit 5'" /dev/null \
        >"$T/stdout" 2>&1 < <(echo typed; sleep 3) || status=$?
    out=$(tr -d '\r' <"$T/stdout")
    exits 5
    [[ $out == *read=typed* ]] || show
}

@test "a terminal is the job's" {
    in_each terminal
}

# docker's /dev is a tmpfs of its own, which root can write to.
as_root() {
    local files=(/etc/new /proc/sysrq-trigger /proc/sys/kernel/core_pattern)
    become self
    export REPX_RUNTIME=$runtime
    [[ $runtime == docker ]] || files+=(/dev/new)
    options=(-m "$T/host:/mnt:rw")
    # shellcheck disable=SC2016
    in_image /bin/sh -c 'for f; do (echo "|/none" >$f) 2>/dev/null && echo "wrote $f"; done
        id -u; grep CapEff /proc/self/status; echo x >/mnt/made; exit 3' x "${files[@]}"
    exits 3
    prints $'0\nCapEff:\t0000000000000000'
    exists "$T/host/made"
    nothing_kept
}

@test "root: the same sandboxes, nothing of the machine can be set" {
    [[ $(id -u) -eq 0 ]] || return 0
    local pattern
    pattern=$(</proc/sys/kernel/core_pattern)
    for runtime in bwrap podman docker; do
        [[ " $RUNTIMES " != *" $runtime "* ]] || as_root
    done
    [[ $(</proc/sys/kernel/core_pattern) == "$pattern" ]]
}

# below_read_only: what is mounted below a read-only source is read-only, too.
below_read_only() {
    options=(-m "$T/host:/mnt")
    # shellcheck disable=SC2016
    in_image /bin/sh -c 'cat /mnt/sub/file; for f in /mnt/new /mnt/sub/new; do (echo x >$f) 2>/dev/null && echo "wrote $f"; done; true'
    exits 0
    prints below
}

@test "a mount below a read-only mount is read-only" {
    [[ -n ${NAMESPACE:-} ]] || return 0
    mkdir "$T/host/sub"
    chmod -R a+rwX "$T/host"
    in_namespace mount -t tmpfs -o mode=0777 tmpfs "$T/host/sub"
    in_namespace sh -c "echo below >$T/host/sub/file"
    in_each below_read_only sandbox
    in_namespace umount "$T/host/sub"
}

@test "docker: a daemon that sees other files than the launcher gets no job" {
    [[ " $RUNTIMES " == *' docker '* && $(id -u) -eq 0 ]] || return 0
    runtime=docker
    become nobody
    export REPX_RUNTIME=docker
    chmod a+rwx "$T/host"
    options=(-m "$T/host:/mnt")
    in_image /bin/true
    exits 0
    AS=(in_namespace unshare --mount bash -c 'mount -t tmpfs tmpfs "$0" && exec setpriv --reuid nobody --regid "$1" --clear-groups "${@:2}"' "$T/host" "$(id -g nobody)")
    in_image /bin/true
    exits 125
    says "'/mnt'" 'not what was asked for'
    nothing_kept
}

# result CHECK: of doctor, with its text.
result() {
    jq -r --arg check "$1" '.[] | select(.check == $check) | .result + " " + .text' <<<"$rows"
}

@test "doctor: docker's socket and server" {
    local rows
    [[ " $RUNTIMES " == *' docker '* ]] || return 0
    become "$(users)"
    rows=$("${AS[@]}" "$LAUNCH" doctor --json --runtime docker)
    [[ $(result docker) == ok\ * && $(result docker-socket) == 'ok unix://'* ]] || { echo "$rows"; return 1; }
    [[ $(result docker-server) == "ok $(docker version --format '{{.Server.Version}}') ("*', cgroup v'[12]')' ]] || { echo "$rows"; return 1; }
    rows=$(DOCKER_HOST=unix://$T/none "${AS[@]}" "$LAUNCH" doctor --json --runtime docker || true)
    [[ $(result docker-socket) == "note cannot reach docker's daemon at $T/none: "*"start it ('systemctl start docker'), or set DOCKER_HOST"* ]] ||
        { echo "$rows"; return 1; }
}
