#!/usr/bin/env bats
# How bwrap is called, and what happens when it fails, is missing or is another one. The
# fake stands in the place of the system's bwrap in a mount namespace of the test. This
# one file needs root: in a user namespace of somebody else "/" belongs to nobody known,
# and the launcher believes no directory below it.

load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$MAKE_LAB" --image unified --sweep 1 "$FILES/sim-lab" >/dev/null
    "$IMAGES" "$FILES/images"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    use_lab "$FILES/sim-lab"
    id=$(job stage-A)
    FAKE=$T/fake
    mkdir -p "$FAKE/calls"
    cp "$(command -v bwrap)" "$FAKE/real"
    sed "s|@FAKE_DIR@|$FAKE|" "$BATS_TEST_DIRNAME/../fakes/bwrap" >"$FAKE/bwrap"
    chmod 0755 "$FAKE/bwrap"
    echo 'bubblewrap 0.8.0' >"$FAKE/version"
    echo run >"$FAKE/behaviour"
}

teardown() {
    test_end
}

# in_namespace FILE PATH COMMAND...: with FILE mounted on every bwrap of the system's
# directories, and this PATH.
in_namespace() {
    unshare --user --map-root-user --mount bash -c '
        set -e
        file=$1 path=$2
        shift 2
        for d in /usr/bin /usr/local/bin; do
            [[ ! -e $d/bwrap ]] || mount --bind "$file" "$d/bwrap"
        done
        PATH=$path exec "$@"' bash "$@"
}

# launch ARGUMENT...: as in helpers.bash, with the fake.
launch() {
    status=0
    in_namespace "${PROGRAM:-$FAKE/bwrap}" "${FAKE_PATH:-$PATH}" "$LAUNCH" "$@" \
        <"${STDIN:-/dev/null}" >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

# What bwrap was called with in CALL, descriptors and directories having names: words_of, a word
# a line; options_of, those it reads from a descriptor, an option a line.
words_of() {
    tr '\0' '\n' <"$1/argv" | sed 's/^[0-9]*$/FD/; s|^/proc/self/fd/[0-9]*$|INIT|'
}

options_of() {
    tr '\0' '\n' <"$1/args" | sed "s/^[0-9]\\{1,3\\}$/FD/; s|$FILES/images/rootfs-dir|ROOT|; s|$LOCAL|LOCAL|" |
        paste -sd ' ' | sed 's/ --/\n--/g'
}

# calls KIND: the directories of the calls of that kind, oldest first.
calls() {
    grep -lx "$1" "$FAKE"/calls/*/kind 2>/dev/null | xargs -r -n1 dirname
}

behave() {
    echo "$1" >"$FAKE/behaviour"
}

@test "how bwrap is called, word for word: when it makes the mounts" {
    local call
    staging off
    ok exec --image "$FILES/images/rootfs-dir" -e A=b -- /bin/echo hello
    prints hello
    call=$(calls launch)
    [[ $(wc -l <<<"$call") -eq 1 ]]
    # descriptors differ, the rest is exact
    diff <(words_of "$call") - <<'GOLDEN'
--args
FD
--
INIT
FD
FD
job
/
/bin/echo
hello
GOLDEN
    diff <(options_of "$call") - <<'GOLDEN'
--unshare-all
--die-with-parent
--as-pid-1
--cap-drop ALL
--info-fd FD
--ro-bind ROOT/bin /bin
--ro-bind ROOT/data /data
--ro-bind ROOT/etc /etc
--ro-bind ROOT/opaque /opaque
--ro-bind ROOT/was-dir /was-dir
--ro-bind ROOT/was-file /was-file
--proc /proc
--ro-bind /proc/sys /proc/sys
--dev /dev
--perms 1777
--tmpfs /dev/shm
--perms 1777
--tmpfs /tmp
--perms 0444
--ro-bind-data FD /etc/passwd
--perms 0444
--ro-bind-data FD /etc/group
--remount-ro /dev
--remount-ro /
--chdir /
GOLDEN
}

@test "how bwrap is called, word for word: when the mounts are made" {
    local call
    ok exec --image "$FILES/images/rootfs-dir" -- /bin/echo hello
    prints hello
    call=$(calls launch)
    diff <(options_of "$call") - <<'GOLDEN'
--info-fd FD
--unshare-all
--die-with-parent
--as-pid-1
--cap-drop ALL
--dev-bind LOCAL/repx/stage/root /
--proc /proc
--ro-bind /proc/sys /proc/sys
--chdir /
GOLDEN
    # nothing of the stage is left, or was ever seen, on the host
    [[ -z $(ls -A "$LOCAL/repx/stage") ]]
}

# many: sets options to 20 mounts below one directory.
many() {
    local n
    options=()
    mkdir "$T/in"
    for n in {1..20}; do
        options+=(-m "$T/in:/data/many/$n")
    done
}

@test "many mounts are not bwrap's: what it and init are told, a trial of its own, once" {
    local call
    many
    ok exec --image "$FILES/images/rootfs-dir" -- /bin/true
    [[ $(calls trial | wc -l) -eq 2 ]]
    for call in 1 2; do
        ok exec --image "$FILES/images/rootfs-dir" "${options[@]}" -- /bin/ls /data/many
        [[ $(wc -l <<<"$out") -eq 20 && $(calls trial | wc -l) -eq 3 ]] || show
    done
    call=$(calls launch | tail -n 1)
    diff <(words_of "$call" | paste -sd ' ') - <<'GOLDEN'
--args FD -- INIT --attach FD /data/many FD FD job / /bin/ls /data/many
GOLDEN
    diff <(options_of "$call") - <<'GOLDEN'
--info-fd FD
--unshare-all
--die-with-parent
--as-pid-1
--cap-drop ALL
--cap-add CAP_SYS_ADMIN
--cap-add CAP_SETPCAP
--dev-bind LOCAL/repx/stage/root /
--proc /proc
--ro-bind /proc/sys /proc/sys
--chdir /
GOLDEN
    [[ -z $(ls -A "$LOCAL/repx/stage") ]]
}

@test "init gets no right to attach mounts here: bwrap gets all, known for this boot" {
    local call
    many
    behave no-rights
    for call in 1 2; do
        ok exec --image "$FILES/images/rootfs-dir" "${options[@]}" -- /bin/sh -c 'ls /data/many; cat /proc/self/mountinfo'
        [[ $(grep -c '^[0-9]*$' <<<"$out") -eq 20 ]] || show
        refute grep -q ' /data/many ' <<<"$out"
        [[ $(calls trial | wc -l) -eq 3 ]]
    done
    refute grep -qz -- --cap-add "$(calls launch | tail -n 1)/args"
    grep -q '^version no' "$LOCAL/repx/probes/staging-apart"
    # which is told, and asked again
    launch doctor
    [[ $out == *'note  staging'*'many inputs starts slowly (bwrap failed in a trial: '* ]] || show
    behave run
    launch doctor
    [[ $out == *'ok    staging'* ]] || show
    grep -q '^version yes' "$LOCAL/repx/probes/staging-apart"
}

@test "a trial that was killed says nothing about the node: it is made again" {
    many
    behave killed-attach
    ok exec --image "$FILES/images/rootfs-dir" "${options[@]}" -- /bin/ls /data/many
    [[ $(wc -l <<<"$out") -eq 20 ]] || show
    [[ ! -e $LOCAL/repx/probes/staging-apart ]]
    behave run
    ok exec --image "$FILES/images/rootfs-dir" "${options[@]}" -- /bin/cat /proc/self/mountinfo
    grep -q ' /data/many ' <<<"$out"
    grep -q '^version yes' "$LOCAL/repx/probes/staging-apart"
}

@test "mounts that cannot be attached: what, and why; the command does not run" {
    local option answer
    many
    behave late-no-rights
    launch exec --quiet --image "$FILES/images/rootfs-dir" "${options[@]}" -- /bin/echo ran
    refused 125 "'/data/many' in the sandbox" 'Operation not permitted' staging
    # nor does a step, whose tasks are told
    # shellcheck disable=SC2034 # for step_host
    local STEP_HOST=(in_namespace "$FAKE/bwrap" "$PATH" "$SOURCE/tests/step_host.py") STEP_OPTIONS=()
    for option in "${options[@]}"; do
        [[ $option == -m ]] || STEP_OPTIONS+=("--mount-path=$option")
    done
    step_host -- --image="$FILES/images/rootfs-dir"
    [[ $(jq -r .phase <<<"$answer") == failed ]] || show "answer: $answer"
    [[ $(jq -r .error <<<"$answer") == *"'/data/many' in the sandbox: Operation not permitted"* ]] || show "answer: $answer"
    # few need no right
    ok exec --image "$FILES/images/rootfs-dir" -- /bin/echo ran
    prints ran
}

@test "the image's environment does not reach bwrap" {
    local call
    LD_LIBRARY_PATH=/x ok exec --image "$FILES/images/docker-dir" -e LD_PRELOAD=/x.so -- /bin/true
    call=$(calls launch)
    refute grep -z '^\(LD_\|FROM_IMAGE\)' "$call/env"
}

@test "a job's sandbox: network, hostname, mounts in the arguments" {
    staging off
    ok run "$id"
    args=$(tr '\0' '\n' <"$(calls launch)/args")
    for word in --unshare-all --die-with-parent --as-pid-1 --remount-ro --proc --dev --tmpfs "$(out_of "$id")"; do
        grep -qxF -- "$word" <<<"$args" || show "$word"
    done
    refute grep -qx -- '--share-net\|--overlay.*\|--uid\|--disable-userns' <<<"$args"
    ok run "$id" --network host
    tr '\0' '\n' <"$(calls launch | tail -n 1)/args" | grep -qx -- --share-net
}

@test "the probes are real trials, once: of bwrap, and of a stage with an overlay" {
    local call
    ok run "$id"
    [[ $(calls trial | wc -l) -eq 2 ]]
    for call in $(calls trial); do
        tr '\0' '\n' <"$call/argv" | grep -qx -- --unshare-all
    done
    tr '\0' '\n' <"$(calls trial | tail -n 1)/argv" | grep -qx -- --dev-bind
    ok run "$id"
    [[ $(calls trial | wc -l) -eq 2 && $(calls launch | wc -l) -eq 2 ]]
    # another bwrap: asked again
    echo '# changed' >>"$FAKE/bwrap"
    ok run "$id"
    [[ $(calls trial | wc -l) -eq 4 ]]
    # without staging there is nothing to find out about it
    staging off
    echo '# changed again' >>"$FAKE/bwrap"
    ok run "$id"
    [[ $(calls trial | wc -l) -eq 5 ]]
}

@test "launches that begin together on a new node make each trial once" {
    local n
    behave slow-trial
    for n in {1..6}; do
        in_namespace "$FAKE/bwrap" "$PATH" "$LAUNCH" exec --image "$FILES/images/rootfs-dir" -- \
            /bin/echo ran >"$T/out-$n" 2>"$T/err-$n" </dev/null &
    done
    wait
    for n in {1..6}; do
        [[ $(<"$T/out-$n") == ran ]] || show "$n: $(<"$T/err-$n")"
    done
    [[ $(calls trial | wc -l) -eq 2 && $(calls launch | wc -l) -eq 6 ]] || show "$(calls trial | wc -l) trials"
}

@test "a trial whose process is suspended keeps nobody waiting" {
    (umask 077 && mkdir -p "$LOCAL/repx/probes")
    exec {held}>"$LOCAL/repx/probes/bwrap.lock"
    flock -x "$held"
    ok run "$id"
    exec {held}>&-
    [[ $(calls trial | wc -l) -eq 2 ]]
}

@test "a stage cannot be made here: bwrap makes the mounts, known for this boot, told" {
    echo no-stage >"$FAKE/behaviour"
    ok run "$id"
    grep -qzx -- --tmpfs "$(calls launch)/args"
    [[ $(record "$id" .runtime.staging) == off && $(calls trial | wc -l) -eq 3 ]]
    ok run "$id"
    [[ $(calls trial | wc -l) -eq 3 ]]
    grep -q 'Operation not permitted' "$LOCAL/repx/probes/staging"
    ok doctor
    [[ $out == *'note  staging'*'Operation not permitted'* ]] || show
    # doctor asks anew, and what it finds counts
    behave run
    ok doctor
    [[ $out == *'ok    staging'* ]] || show
    ok run "$id"
    [[ $(record "$id" .runtime.staging) == overlay ]]
    staging flat
    ok run "$id"
    [[ $(record "$id" .runtime.staging) == on ]]
}

@test "bwrap does not work here: the reason and the remedy; never native instead" {
    behave fail
    launch run "$id"
    refused 125 bwrap 'Operation not permitted' namespaces
    absent "$BASE/outputs"
    [[ -z $(calls launch) ]]
    # a "no" is not remembered
    behave run
    ok run "$id"
}

@test "bwrap does not work here: the next one of the list" {
    behave fail
    printf '[targets.local]\nbase_path = "%s"\n[targets.local.local]\nexecution_types = ["bwrap", "native"]\n' "$BASE" >"$T/both.ini"
    ok run "$id" --config "$T/both.ini"
    says 'no isolation'
    [[ $(record "$id" .runtime.name) == native ]]
    launch run "$id" --config "$T/both.ini" --bwrap
    refused 125 'Operation not permitted'
}

@test "the sandbox fails when the job starts: FAIL, a record, bwrap's words" {
    behave late
    launch run -q "$id" # not a word on a slow extraction
    refused 125 'could not make the sandbox' stderr.log
    failed "$id"
    grep -q 'Operation not permitted' "$(repx_of "$id")/stderr.log"
    [[ $(record "$id" .exit.code) == 125 && $(record "$id" .exit.error) == *bwrap* ]]
    launch exec --image "$FILES/images/rootfs-dir" -- /bin/true
    exits 125
    says 'Operation not permitted'
}

@test "bwrap crashes, or ends without having run anything" {
    local behaviour
    ok run "$id"
    for behaviour in crash silent; do
        behave "$behaviour"
        launch run "$id"
        exits 125
        says sandbox
        failed "$id"
    done
    none_left
}

@test "bwrap is missing: what to install" {
    PROGRAM=/dev/null FAKE_PATH=$T launch run "$id"
    refused 125 bubblewrap 'not installed'
    absent "$BASE/outputs"
    ok list
}

@test "bwrap elsewhere in PATH; the system's comes first" {
    mkdir "$T/bin"
    printf '#!/bin/sh\ntouch %s/used\nexec %s/real "$@"\n' "$T" "$FAKE" >"$T/bin/bwrap"
    chmod 0755 "$T/bin/bwrap"
    FAKE_PATH=$T/bin:$PATH ok run "$id"
    absent "$T/used"
    PROGRAM=/dev/null FAKE_PATH=$T/bin:$PATH ok run "$id"
    exists "$T/used"
}

@test "a bwrap that others can change is not executed" {
    chmod 0777 "$FAKE/bwrap"
    launch run "$id"
    refused 125 bwrap 'written to by others'
    [[ -z $(ls "$FAKE/calls") ]]
}

@test "an older and a newer bwrap: the version is in the record" {
    local version
    for version in 'bubblewrap 0.5.0' 'bubblewrap 0.11.0'; do
        echo "$version" >"$FAKE/version"
        echo "# $version" >>"$FAKE/bwrap"
        ok run "$id"
        [[ $(record "$id" .runtime.version) == "$version" ]]
        refute grep -z overlay "$(calls launch | tail -n 1)/args"
    done
}
