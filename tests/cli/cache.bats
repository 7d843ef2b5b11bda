#!/usr/bin/env bats
# repx-launch cache: list, prune, verify; limits of the store; a full disk.

# shellcheck disable=SC2154 # out and err: of helpers.bash
load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$IMAGES" "$FILES/images"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    I=$FILES/images
    STORE=$LOCAL/repx/store-v1
    # one layer of busybox in both, two more in the first
    first=$I/docker-dir
    second=$I/rootfs.tar
}

teardown() {
    test_end
}

# use IMAGE: a launch that must work.
use() {
    ok exec --image "$1" -- /bin/echo fine
    prints fine
}

# images: how many the store has. tmp_empty: nothing is left of what was going on.
images() {
    find "$STORE/rootfs" -mindepth 1 -maxdepth 1 | wc -l
}

layers() {
    find "$STORE/layers" -mindepth 1 -maxdepth 1 | wc -l
}

ended() {
    ! kill -0 "$1" 2>/dev/null
}

tmp_empty() {
    [[ -z $(ls -A "$STORE/tmp") ]] || { ls -A "$STORE/tmp"; return 1; }
}

configure() {
    mkdir -p "$XDG_CONFIG_HOME/repx"
    printf 'submission_target = "local"\n[targets.local]\n%s\n' "$1" >"$T/repx.ini"
    export REPX_CONFIG=$T/repx.ini
}

@test "those that wait for an extraction go on together when it is made" {
    local lock tree n running=()
    use "$first"
    tree=$(echo "$STORE"/rootfs/*)
    lock=$(echo "$STORE"/locks/rootfs-*.lock)
    mv "$tree" "$T/aside"
    exec {held}>>"$lock"
    flock -x "$held"
    for n in 1 2; do
        "$LAUNCH" exec --image "$first" -- /bin/echo fine >"$T/out-$n" 2>"$T/err-$n" {held}>&- </dev/null &
        running+=($!)
    done
    await grep -q 'waiting for' "$T/err-1"
    await grep -q 'waiting for' "$T/err-2"
    mv "$T/aside" "$tree"
    # as if one of them, which has seen that it is there, were suspended
    flock -s "$held"
    for n in 1 2; do
        await ended "${running[n - 1]}"
        [[ $(<"$T/out-$n") == fine ]] || show "$(<"$T/err-$n")"
    done
    exec {held}>&-
}

@test "list: age and use, as text and as JSON" {
    use "$first"
    ok cache list
    [[ $out == *AGE*docker-dir* && $out != *'(in use)'* ]] || show
    ok cache list --json
    jq -e '.[0] | .age_s >= 0 and .in_use == false and .layers == 3' "$T/stdout"
    mkfifo "$T/fifo"
    STDIN=$T/fifo
    "$LAUNCH" exec --image "$first" -- /bin/cat <"$T/fifo" >"$T/cat" &
    exec 9>"$T/fifo"
    STDIN=/dev/null
    echo started >&9
    await grep -q started "$T/cat"
    ok cache list
    [[ $out == *"(in use: $(id -un) $!)"* ]] || show
    ok cache list --json
    jq -e --argjson pid $! --argjson uid "$(id -u)" '.[0].users == [{pid: $pid, uid: $uid, user: "'"$(id -un)"'", slurm_job: null}]' "$T/stdout"
    # an image in use stays, and works on
    ok cache prune --all
    [[ $out == 'removed 0 images and 0 layers'* ]] || show
    echo more >&9
    exec 9>&-
    wait $!
    same "$T/cat" $'started\nmore\n'
    ok cache prune --all
    [[ $out == *'removed 1 images and 3 layers'* ]] || show
    tmp_empty
}

@test "prune: what, in which order, and not with --dry-run" {
    use "$first"
    use "$second"
    touch -d '2001-01-01' "$STORE"/rootfs/*/used
    use "$second"
    ok cache prune --max-size 1K --dry-run
    [[ $out == *docker-dir*rootfs.tar*'would remove 2 images and 3 layers'* ]] || show
    [[ $(images) -eq 2 && $(layers) -eq 3 ]]
    # without the older image the two small layers go, busybox is needed
    size=$(launch cache list --json && jq '.[] | select(.name | endswith("rootfs.tar")).bytes' "$T/stdout")
    ok cache prune --max-size "$size" --json
    jq -e '(.images | length) == 1 and (.images[0].name | endswith("docker-dir")) and
        .layers == 2 and .dry_run == false' "$T/stdout"
    [[ $(images) -eq 1 && $(layers) -eq 1 ]]
    use "$second"
    ok cache prune --all
    [[ $(images) -eq 0 && $(layers) -eq 0 ]]
    tmp_empty
    # what is remembered of a tar does not stand for its layer
    use "$second"
    use "$first"
}

@test "prune: nothing is left of images that are gone, also not their locks" {
    use "$first"
    use "$I/oci.tar"
    use "$second"
    ok cache prune --all --dry-run
    [[ -n $(ls -A "$STORE/refs") && $out != *'small files'* ]] || show
    ok cache prune --all --json
    jq -e '.leftovers > 0' "$T/stdout"
    [[ -z $(ls -A "$STORE/refs") && $(ls -A "$STORE/locks") == evict.lock ]] || { ls -A "$STORE"/*; false; }
    use "$second"
    # what is there keeps what it needs
    ls "$STORE/locks" "$STORE/refs" >"$T/before"
    ok cache prune --max-size 1T
    [[ $(ls "$STORE/locks" "$STORE/refs") == "$(<"$T/before")" ]]
    # a damaged note on an archive goes
    printf '{' >"$STORE/refs/$(printf '0%.0s' {1..64})"
    ok cache prune --max-size 1T
    [[ $out == *'1 small files'* ]] || show
}

@test "prune: usage errors" {
    launch cache prune
    refused 2 '--max-size or --all'
    launch cache prune --max-size much
    refused 2 much
    launch cache prune --all now
    refused 2 'no arguments'
    launch exec --dry-run
    refused 2 dry-run
}

@test "verify: a flipped bit is found, repaired by the next launch" {
    use "$first"
    use "$second"
    ok cache verify
    [[ $out == *'verified 2 images and 3 layers'*'0 damaged'* ]] || show
    victim=$(find "$STORE/layers" -path '*/bin/busybox')
    printf X | dd of="$victim" bs=1 seek=4711 conv=notrunc status=none
    launch cache verify
    exits 1
    [[ $out == *'damaged layer'*'changed /bin/busybox'*'3 damaged'* ]] || show
    [[ $(images) -eq 0 && $(layers) -eq 2 ]]
    tmp_empty
    use "$first"
    use "$second"
    ok cache verify --json
    jq -e '.damaged == [] and .images == 2 and .layers == 3 and .bytes > 0' "$T/stdout"
}

@test "verify: a file that is missing, added or changed in a root filesystem" {
    use "$first"
    root=$(echo "$STORE"/rootfs/*/root)
    rm "$root/data/keep"
    echo planted >"$root/planted"
    chmod 0777 "$root/plain"
    launch cache verify --json
    exits 1
    # a mode belongs to the file, which the layer shares
    jq -e '[.damaged[] | select(.kind == "image").problems[]] | contains(["missing /data/keep", "added /planted"])' "$T/stdout"
    jq -e '[.damaged[] | select(.kind == "layer").problems[]] == ["changed /plain"]' "$T/stdout"
    use "$first"
    ok cache verify
}

@test "cache_max_size: unused images make room; in use and too large are told" {
    use "$first"
    size=$(launch cache list --json && jq '.[0].bytes' "$T/stdout")
    # what a tar holds is only known when it is read: there must be room for it beside
    configure "cache_max_size = $((size * 3))"
    use "$second"
    [[ $(images) -eq 2 ]]
    ok cache prune --all
    use "$first"
    configure "cache_max_size = $((size + size / 2))"
    cp "$second" "$T/unread.tar"
    use "$T/unread.tar"
    [[ $(images) -eq 1 && $err == *'removed 1 unused images'* ]] || show
    use "$first"
    # one that is there already takes nothing more
    configure 'cache_max_size = 1M'
    use "$first"
    ok cache prune --all
    launch exec --image "$first" -- /bin/true
    refused 125 'cache_max_size' 'MiB'
    [[ $(images) -eq 0 && $(layers) -eq 0 ]]
    tmp_empty
}

@test "cache_min_free: not reached is told in numbers" {
    configure 'cache_min_free = 900T'
    launch exec --image "$first" -- /bin/true
    refused 125 'cache_min_free keeps' 'are needed' 'are free'
    [[ $(images) -eq 0 && $(layers) -eq 0 ]]
    tmp_empty
}

# On a small disk of its own: COMMANDS in bash, with $disk, $store and $LAUNCH.
on_small_disk() {
    mkdir -p "$T/disk"
    env LAUNCH="$LAUNCH" disk="$T/disk" first="$first" T="$T" \
        unshare -m bash -euc 'mount -t tmpfs -o "size='"$1"',mode=0700" none "$disk"
        export REPX_NODE_LOCAL_PATH=$disk/l
        store=$disk/l/repx/store-v1
        '"$2"
}

@test "a full disk: numbers, nothing left, other images intact" {
    # without room from the start
    on_small_disk 1m '! "$LAUNCH" exec --image "$first" -- /bin/true 2>"$T/stderr" || exit 1
        [[ -z $(ls -A "$store/tmp" "$store/layers" "$store/rootfs" | grep -v :) ]]'
    grep -q 'not enough space.*MiB are needed.*are free' "$T/stderr"
}

@test "a disk that fills up during the extraction, and unused images that make room" {
    mkdir "$T/tree"
    touch "$T/tree"/{1..200}
    tar -C "$T/tree" -cf "$T/many.tar" .
    # inodes are not foreseen: the extraction itself fails
    on_small_disk 64m,nr_inodes=500 '
        fill() { while (($(df --output=iavail "$disk" | tail -n 1) > $1)); do mktemp -d "$disk/fillXXXXXX"; done >/dev/null; }
        "$LAUNCH" image prepare "$T/many.tar"
        fill 20
        # the unused image makes room
        "$LAUNCH" exec --image "$first" -- /bin/true 2>"$T/stderr" || { cat "$T/stderr"; df -i "$disk"; exit 1; }
        [[ -z $(ls -A "$store/tmp") && $(ls "$store/rootfs" | wc -l) -eq 1 ]] || exit 2
        "$LAUNCH" cache verify
        "$LAUNCH" cache prune --all
        fill 20
        ! "$LAUNCH" exec --image "$first" -- /bin/true 2>"$T/stderr2" || exit 3
        [[ -z $(ls -A "$store/tmp" "$store/layers" "$store/rootfs" | grep -v :) ]] || exit 4
        rmdir "$disk"/fill*
        "$LAUNCH" exec --image "$first" -- /bin/true'
    grep -q 'the disk was full' "$T/stderr"
    grep -q 'inodes free' "$T/stderr2"
}

# bomb FILE: a docker-archive of 1 MiB whose layer is a file of 4 GiB.
bomb() {
    python3 - "$1" <<'PYTHON'
import gzip, hashlib, io, json, sys, tarfile
info = tarfile.TarInfo("zeros")
info.size = 4 << 30
step = 16 << 20
# gzip members one after the other are one stream
layer = gzip.compress(info.tobuf()) + gzip.compress(bytes(step)) * (info.size // step) + gzip.compress(bytes(1024))
config = json.dumps({"architecture": "amd64", "os": "linux",
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
name = hashlib.sha256(config).hexdigest() + ".json"
manifest = json.dumps([{"Config": name, "RepoTags": ["bomb:1"], "Layers": ["l/layer.tar"]}]).encode()
with tarfile.open(sys.argv[1], "w") as out:
    for path, data in (("manifest.json", manifest), (name, config), ("l/layer.tar", layer)):
        member = tarfile.TarInfo(path)
        member.size = len(data)
        out.addfile(member, io.BytesIO(data))
PYTHON
}

@test "a compression bomb is stopped while it is read, by the limit and by the free space" {
    bomb "$T/bomb.tar"
    [[ $(stat -c %s "$T/bomb.tar") -lt $((8 << 20)) ]]
    use "$first"
    configure "cache_max_size = 64M"
    (
        ulimit -f 262144 # KiB: more than 256 MiB in a file is a signal
        launch exec --image "$T/bomb.tar" -- /bin/true
        exits 125
        # how far it came when it was looked at decides whether the other image had to go first
        says "$T/bomb.tar" 'cache_max_size' 'MiB'
    )
    tmp_empty
    use "$first"
    unset REPX_CONFIG
    on_small_disk 128m '
        "$LAUNCH" exec --image "$first" -- /bin/true
        ! "$LAUNCH" exec --image "$T/bomb.tar" -- /bin/true 2>"$T/stderr" || exit 1
        [[ -z $(ls -A "$store/tmp") && $(ls "$store/rootfs" | wc -l) -le 1 ]] || exit 2
        "$LAUNCH" exec --image "$first" -- /bin/true'
    grep -q 'MiB are needed.*are free' "$T/stderr"
}

# in_boot ID COMMAND...: as a process sees it that has this boot id; "" is none.
in_boot() {
    printf '%s' "$1" >"$T/boot_id"
    shift
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount sh -euc 'mount --bind "$0" /proc/sys/kernel/random/boot_id; exec "$@"' "$T/boot_id" "$@"
}

@test "a system without a boot id waits for the disk, and every boot believes it" {
    [[ $EUID -eq 0 ]] || return 0 # mounts
    in_boot "" "$LAUNCH" image prepare --quiet "$first" >"$T/one"
    [[ $(find "$STORE" -name durable | wc -l) -eq 4 && -z $(find "$STORE" -name 'boot.*') ]]
    in_boot "" "$LAUNCH" image prepare --json "$first" | jq -e '.extracted == false'
    ok image prepare --json "$first"
    jq -e '.extracted == false' "$T/stdout"
}

@test "what another boot made is taken over when it is intact, under a running sandbox too" {
    local form
    [[ $EUID -eq 0 ]] || return 0 # mounts
    for form in auto off; do
        export REPX_STAGING=$form
        mkfifo "$T/fifo.$form"
        "$LAUNCH" exec --image "$first" -- /bin/sh -c 'read -r line; cat /data/keep; ls /bin | wc -l' \
            <"$T/fifo.$form" >"$T/job" &
        exec 9>"$T/fifo.$form"
        await eval '[[ $("$LAUNCH" cache list --json | jq ".[0].in_use") == true ]]'
        before=$(find "$STORE/layers" -path '*/tree/*' -printf '%i %p\n' | sort)
        in_boot 11111111-0000-4000-8000-000000000000 "$LAUNCH" image prepare --quiet "$first" >"$T/one"
        [[ $(find "$STORE/layers" -path '*/tree/*' -printf '%i %p\n' | sort) == "$before" ]]
        echo go >&9
        exec 9>&-
        wait $!
        [[ $(head -n 1 "$T/job") == keep && $(tail -n 1 "$T/job") -gt 1 ]] || { cat "$T/job"; return 1; }
        rm -r "${LOCAL:?}"/*
    done
}
