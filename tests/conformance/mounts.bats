#!/usr/bin/env bats
# A sandbox of many mounts, which repx-sandbox-init attaches after bwrap has made the rest:
# nothing of it may differ from one whose mounts bwrap makes, and no process in it can undo
# what it was given.
# shellcheck disable=SC2154 # user: of each

load ../helpers
load runtimes

RUNTIMES=bwrap
MANY=300

setup_file() {
    conformance_setup 1
    cp "$BUILD/tests/undo-mounts" "$FILES/bin/"
}

teardown_file() {
    conformance_teardown
}

setup() {
    conformance_begin
    image=$FILES/images/merge-dir
    mkdir "$T/in"
}

teardown() {
    test_end
}

# options N DIR: sets options to N mounts below DIR, which show directories with their number.
options() {
    local n
    options=()
    for ((n = 0; n < $1; n++)); do
        mkdir -p "$T/in/$n/sub"
        echo "$n" >"$T/in/$n/number"
        options+=(-m "$T/in/$n:$2/$n/out")
    done
}

# attached DIR: it is a mount of its own, of no source of ours, so that init has attached it.
attached() {
    grep -q " [^ ]*/outputs $1 " <<<"$out" || show "$1 was not attached"
}

# both_ways SCRIPT: its output when bwrap makes each mount, and with the stage; sets first, out.
both_ways() {
    staging off
    ok exec --node-local-path "$LOCAL/off" --image "$image" "${options[@]}" -- /bin/sh -c "$1"
    first=$out
    staging "${2:-auto}"
    ok exec --image "$image" "${options[@]}" -- /bin/sh -c "$1"
}

# become makes the home directory, which has the configuration.
use_home() {
    export XDG_CONFIG_HOME=$HOME/config
}

look_alike() {
    local how
    use_home
    options "$MANY" /data/base/outputs
    for how in auto flat; do
        both_ways "grep -E '^(Cap|NoNewPrivs|Seccomp|Groups)' /proc/self/status
            for fd in /proc/self/fd/*; do [ ! -e \$fd ] || echo \${fd##*/}; done
            ls /data/base/outputs | wc -l; cat /data/base/outputs/*/out/number
            for d in / /data /data/base/outputs /data/base/outputs/7 /data/base/outputs/7/out /data/base/outputs/7/out/sub; do
                touch \$d/new 2>&1
            done; true" "$how"
        [[ $(head -n 6 <<<"$out" | grep -c '^Cap.*:.0000000000000000$') -eq 5 ]] || show 'capabilities'
        diff <(echo "$first") <(echo "$out")
        [[ $(grep -c 'Read-only file system' <<<"$out") -eq 6 ]] || show
        ok exec --image "$image" "${options[@]}" -- /bin/cat /proc/self/mountinfo
        attached /data/base/outputs
        [[ $how == flat || $(grep -c ' / / ro.* overlay ' <<<"$out") -eq 1 ]] || show 'no overlay'
        [[ $(grep -c ' /data/base/outputs\(/[0-9]*/out\)\? ro,nosuid,nodev[, ]' <<<"$out") -eq $((MANY + 1)) ]] || show
    done
}

@test "300 mounts: rights, descriptors, flags, contents as when bwrap makes them" {
    each look_alike
}

# Below each other, below what is writable, over an earlier one; a file, a link of the
# image's and one of the job's on the way.
in_order() {
    use_home
    options 20 /data/base/outputs
    mkdir -p "$T/out" "$T/out/place" "$T/in/7/sub/deep" "$T/over/in"
    echo file >"$T/file"
    echo over >"$T/over/in/number"
    : >"$T/out/file"
    ln -sfn place "$T/out/link"
    chmod -R a+rwX "$T/out"
    options+=(-m "$T/out:/data/base/outputs/job:rw" -m "$T/in/1:/data/base/outputs/job/place"
        -m "$T/file:/data/base/outputs/job/file" -m "$T/in/2:/data/base/outputs/7/out/sub/deep"
        -m "$T/over:/data/base/outputs/8/out/sub" -m "$T/in/3:/data/base/outputs/8/out/sub/in:rw")
    both_ways 'cd /data/base/outputs/job && pwd; cat place/number link/number file ../7/out/sub/deep/number ../8/out/sub/in/number
        echo made >made && cat made; touch place/new link/new ../8/out/sub/new 2>&1
        cut -d" " -f4-6 /proc/self/mountinfo | grep " /data/base/outputs/" | sed "s/ rw,.*/ rw/; s/ ro,.*/ ro/" | sort'
    diff <(echo "$first") <(echo "$out")
    [[ $(head -n 7 <<<"$out") == $'/data/base/outputs/job\n1\n1\nfile\n2\n3\nmade' ]] || show
    rm "$T/out/made"
    ok exec --image "$image" "${options[@]}" -- /bin/cat /proc/self/mountinfo
    attached /data/base/outputs
    # what is mounted over all of it hides all of it
    options+=(-m "$T/over:/data")
    both_ways 'ls /data'
    [[ $first == in && $out == in ]] || show "with bwrap alone: $first"
}

@test "mounts on mounts: the order is the plan's" {
    each in_order
}

# Where init could not attach them bwrap gets the mounts: below a directory that only the
# launcher may enter, and where a later mount covers them through a link.
left_to_bwrap() {
    use_home
    options 20 /base/outputs
    mkdir -p "$T/closed/outputs/"{0..19}/out "$T/linked/outputs"
    ln -sfn . "$T/linked/up"
    if [[ $(id -u) -eq 0 && $user == self ]]; then
        chmod 0700 "$T/closed"
        chown 65534 "$T/closed"
        ok exec --image "$image" -m "$T/closed:/base" "${options[@]}" -- /bin/cat /proc/self/mountinfo
        [[ $(grep -c ' /base/outputs/[0-9]*/out ro,nosuid,nodev[, ]' <<<"$out") -eq 20 ]] || show
    fi
    ok exec --image "$image" -m "$T/linked:/base:rw" "${options[@]}" -m "$T/in:/base/up" -- /bin/ls /base
    [[ $(wc -l <<<"$out") -eq 20 ]] || show
}

@test "mounts that init could not attach are left to bwrap" {
    each left_to_bwrap
}

# Not sealed where it would not have been.
writable_around() {
    use_home
    options 20 /tmp/outputs
    both_ways 'echo x >/tmp/outputs/new && mkdir /tmp/outputs/dir && ls /tmp/outputs | wc -l
        touch /tmp/outputs/3/out/new 2>&1; true'
    diff <(echo "$first") <(echo "$out")
    [[ $(head -n 1 <<<"$out") == 22 && $out == *'Read-only file system'* ]] || show
    ok exec --image "$image" "${options[@]}" -- /bin/cat /proc/self/mountinfo
    attached /tmp/outputs
}

@test "around mounts below /tmp it is as writable as /tmp" {
    each writable_around
}

cannot_undo() {
    local how paths=(/ /data/base/outputs /data/base/outputs/7/out /data/base/outputs/8/out/sub)
    use_home
    options 20 /data/base/outputs
    options+=(-m "$T/in/9:/data/base/outputs/8/out/sub" -m "$FILES/bin:/data/bin")
    for how in '' --nested; do
        # shellcheck disable=SC2086
        ok exec --image "$image" "${options[@]}" -- /data/bin/undo-mounts $how /tmp "${paths[@]}"
        prints ''
    done
    ok exec --image "$image" "${options[@]}" -- /bin/cat /proc/self/mountinfo
    attached /data/base/outputs
}

@test "no process can make them writable, take them away or move them, nor in a namespace of its own" {
    each cannot_undo
    # the program can do all that where nothing stands against it
    mkdir "$T/free" "$T/place"
    # shellcheck disable=SC2016
    out=$(unshare --user --map-root-user --mount sh -c '
        mount -t tmpfs x "$1" && mount -o remount,bind,ro,nosuid,nodev "$1" && exec "$3" "$2" "$1"
        ' sh "$T/free" "$T/place" "$FILES/bin/undo-mounts")
    for what in writable suid dev 'all writable' written remounted moved unmounted; do
        grep -qx "$what $T/free" <<<"$out" || show "not: $what"
    done
}

# A step's tasks enter what its sandbox's holder has attached.
in_a_step() {
    local STEP_HOST=("${AS[@]}" "$FILES/bin/step_host.py") STEP_OPTIONS=("--image=$image") n
    use_home
    for ((n = 0; n < 40; n++)); do
        mkdir -p "$T/in/$n"
        echo "$n" >"$T/in/$n/number"
        STEP_OPTIONS+=("--mount-path=$T/in/$n:/data/base/outputs/$n/out")
    done
    step_host --join 'cat /data/base/outputs/*/out/number | wc -l
        for d in /data/base/outputs /data/base/outputs/7/out; do touch $d/new 2>&1; done | grep -c "Read-only file system"' \
        --join 'cat /proc/self/mountinfo'
    [[ $status -eq 0 && $(jq -r .phase <<<"$answer") == ready ]] || show "answer: $answer"
    [[ $(head -n 2 <<<"$out") == $'40\n2' ]] || show
    attached /data/base/outputs
}

@test "the tasks of a step find the same" {
    each in_a_step
}
