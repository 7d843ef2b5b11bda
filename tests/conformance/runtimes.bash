# runtimes.bash: each check of this directory in each runtime, as each kind of user.
#
# podman and docker run in a mount namespace of the tests: with the pure cgroup v2 layout,
# which crun needs, with subordinate ids for nobody, and with a dockerd of its own, whose
# files are below FILES.
# Nothing of the machine's own podman or docker is used or changed.
# shellcheck shell=bash

# engines_start RUNTIMES: for setup_file, once FILES is there. What it starts dies with
# the process that calls it.
engines_start() {
    case " $1 " in
    *' podman '* | *' docker '*) ;;
    *) return 0 ;;
    esac
    [[ $(id -u) -eq 0 ]] || {
        echo 'podman and docker are tested by root: mounts, a daemon'
        return 1
    }
    echo 'nobody:200000:65536' >"$FILES/subids"
    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL unshare --mount --propagation private bash -c '
        set -e
        [[ -d /sys/fs/cgroup ]] || mount -t sysfs sysfs /sys
        if [[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]]; then
            ! mountpoint -q /sys/fs/cgroup || umount -R /sys/fs/cgroup
            mount -t cgroup2 none /sys/fs/cgroup
        fi
        for file in /etc/subuid /etc/subgid; do
            mount --bind "$1/subids" "$file"
        done
        : >"$1/namespace-ready"
        exec sleep infinity' bash "$FILES" </dev/null >"$FILES/namespace.log" 2>&1 3>&- &
    NAMESPACE=$!
    export NAMESPACE
    await_alive "$NAMESPACE" "$FILES/namespace.log" test -e "$FILES/namespace-ready"
    if [[ " $1 " == *' docker '* ]]; then
        docker_start
    fi
}

docker_start() {
    mkdir -p "$FILES/docker"
    in_namespace setpriv --pdeathsig TERM dockerd --iptables=false --bridge=none \
        --group "$(id -gn nobody)" --data-root "$FILES/docker/data" \
        --exec-root "$FILES/docker/exec" --pidfile "$FILES/docker/pid" \
        --host "unix://$FILES/docker/socket" \
        </dev/null >"$FILES/docker/log" 2>&1 3>&- &
    DOCKERD=$!
    export DOCKERD DOCKER_HOST=unix://$FILES/docker/socket
    await_alive "$DOCKERD" "$FILES/docker/log" docker version
}

# await_alive PID LOG COMMAND...: until the command succeeds; the process must live.
await_alive() {
    local pid=$1 log=$2 deadline=$((SECONDS + 60))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
            echo "waited in vain for: $*"
            cat "$log"
            return 1
        fi
        sleep 0.05
    done
}

# in_namespace COMMAND...: in the tests' mount namespace, same directory.
in_namespace() {
    nsenter --target "$NAMESPACE" --mount env -C "$PWD" "$@"
}

stopped() {
    ! kill -0 "$1" 2>/dev/null
}

# engines_stop: for teardown_file.
engines_stop() {
    if [[ -n ${DOCKERD:-} ]]; then
        kill "$DOCKERD" || true
        await stopped "$DOCKERD" || kill -KILL "$DOCKERD"
        wait "$DOCKERD" || true
    fi
    if [[ -n ${NAMESPACE:-} ]]; then
        kill -KILL "$NAMESPACE" || true
        wait "$NAMESPACE" || true
    fi
    unset DOCKERD NAMESPACE DOCKER_HOST
}

# The users to test as: whoever runs the tests, and nobody when that is root; with
# ONE_USER an ordinary one.
users() {
    [[ -n ${ONE_USER:-} && $(id -u) -eq 0 ]] || echo self
    [[ $(id -u) -ne 0 ]] || echo nobody
}

# become USER: what follows is launched by that user, with directories of its own; images
# and the answers of trial sandboxes are kept for the whole file.
become() {
    local own=$T/$1-${runtime:-any}
    BASE=$own/store LOCAL=$FILES/local-$1 HOME=$own/home
    export REPX_BASE_PATH=$BASE REPX_NODE_LOCAL_PATH=$LOCAL
    mkdir -p "$own/home" "$LOCAL"
    AS=()
    [[ -z ${NAMESPACE:-} ]] || AS=(in_namespace)
    ME="$(id -u) $(id -g) $(id -un)"
    if [[ $1 == nobody ]]; then
        chown -R nobody: "$own"
        chown nobody: "$LOCAL"
        AS+=(setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups)
        ME="$(id -u nobody) $(id -g nobody) nobody"
    fi
}

# each FUNCTION: for all runtimes and users.
each() {
    for runtime in $RUNTIMES; do
        for user in $(users); do
            become "$user"
            export REPX_RUNTIME=$runtime
            echo "in $runtime as $user:"
            "$1" # not in a condition: errexit has to be on inside
        done
    done
}

launch() {
    status=0
    "${AS[@]}" "$LAUNCH" "$@" </dev/null >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

# conformance_setup SWEEP: for setup_file. FILES: programs where every user can execute
# them, also when the source is in root's home, a lab of so many sweeps, images; and the engines.
conformance_setup() {
    FILES=$(scratch)
    export FILES
    chmod 0755 "$FILES"
    mkdir "$FILES/bin"
    cp "$BUILD"/src/repx-{launch,sandbox-init,podman-hook} "$SOURCE"/tests/{step_host,repx_rules}.py "$FILES/bin/"
    "$MAKE_LAB" --image unified --sweep "$1" --shebang nix "$FILES/sim-lab" >/dev/null
    "$IMAGES" "$FILES/images"
    engines_start "$RUNTIMES"
}

# conformance_begin: for setup; outside /tmp, because the sandbox's /tmp is its own.
conformance_begin() {
    TMPDIR=/var/tmp test_begin
    unset TMPDIR
    # shellcheck disable=SC2034 # of helpers.bash
    LAUNCH=$FILES/bin/repx-launch
}

# conformance_teardown: for teardown_file.
conformance_teardown() {
    engines_stop
    scratch_remove "$FILES"
}
