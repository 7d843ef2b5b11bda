#!/usr/bin/env bats
# The root filesystem of an image is the same whether its layers are merged by overlay,
# or composed and bound, with or without a stage: every name, type, mode, size, time, link
# and content.
# shellcheck disable=SC2154 # out, status: of launch

load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$IMAGES" "$FILES/images"
    "$MAKE_LAB" --image unified --layers 12 --sweep 1 "$FILES/lab" >/dev/null
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    unset STAGING
}

teardown() {
    test_end
}

# What is mounted or made for the sandbox is left out; so is the time of a directory that
# may have been made anew to hold it, or that no layer declares ("now").
LIST='
find / -path /proc -prune -o -path /dev -prune -o -path /tmp -prune -o -path /host -prune -o -print | sort |
while read -r name; do
    case $name in /etc/passwd | /etc/group) continue ;; esac
    if [ -L "$name" ]; then
        echo "$(stat -c "%n %f %Y" "$name") $(readlink "$name")"
    elif [ -d "$name" ]; then
        case $name in / | /etc) stat -c "%n %F" "$name" ;; *) stat -c "%n %f %Y" "$name" ;; esac
    else
        echo "$(stat -c "%n %f %s %Y" "$name") $(cat "$name" 2>/dev/null | busybox md5sum)"
    fi
done | sed "s/ 1[1-9][0-9]\{8\}\( \|\$\)/ now\1/"'

# listing IMAGE [OPTION...]: of its tree, into out; rootfs_mode: how it is kept.
listing() {
    local image=$1
    shift
    ok exec --image "$image" "$@" -- /bin/busybox sh -c "PATH=/bin; $LIST"
    [[ $(wc -l <<<"$out") -ge 20 ]] || show 'too short to be a tree'
}

mode_of() {
    "$LAUNCH" image prepare "$1" --json | jq -r .mode
}

# same_tree IMAGE MODE: kept in that mode by default.
same_tree() {
    local by_default
    staging auto
    listing "$1"
    by_default=$out
    [[ $(mode_of "$1") == "$2" ]] || show "kept as $(mode_of "$1")"
    for other in flat off; do
        staging "$other"
        listing "$1"
        diff <(echo "$by_default") <(echo "$out")
        [[ $(mode_of "$1") == "${2/overlay/flat}" ]] || show "kept as $(mode_of "$1")"
    done
}

@test "layers that overlay can merge" {
    local expected
    same_tree "$FILES/images/merge-dir" overlay
    # and it is what the layers say
    for expected in '/data 41e8 14' '/data/deep 41c9 15' '/nix 41c9 21' '/nix/store 41ed 22' \
        '/nix/store/aaa 41ed 13' '/empty 41c0 31'; do
        grep -qxF "$expected" <<<"$out" || show "$expected"
    done
    grep -q '^/again/last ' <<<"$out" && grep -q '^/to-dir/inside ' <<<"$out"
    refute grep -q '^/again/first \|^/to-file/\|\.wh\.' <<<"$out"
}

@test "a RepX image" {
    same_tree "$(echo "$FILES"/lab/images/*)" overlay
}

@test "an image of one layer" {
    same_tree "$FILES/images/rootfs.tar" overlay
}

@test "layers that remove something are composed" {
    local image
    for image in docker-dir oci-gzip docker-zstd.tar; do
        same_tree "$FILES/images/$image" flat
    done
}

@test "a directory in place" {
    same_tree "$FILES/images/odd-dir" directory
}

@test "mount points do not change the directories that hold them" {
    local without
    mkdir "$T/host"
    listing "$FILES/images/merge-dir"
    without=$out
    listing "$FILES/images/merge-dir" -m "$T/host:/data/deep/new" -m "$T/host:/nix/store/ddd" -m "$T/host:/lib/plugin"
    diff <(echo "$without") <(grep -v '^/data/deep/new \|^/nix/store/ddd \|^/usr/lib/plugin ' <<<"$out")
    [[ $(($(wc -l <<<"$without") + 3)) -eq $(wc -l <<<"$out") ]] || show
}

@test "a directory that the image lacks, with many mount points" {
    local n with without look options=()
    for ((n = 1; n <= 20; n++)); do
        mkdir -p "$T/in/$n"
        echo "$n" >"$T/in/$n/number"
        options+=(-m "$T/in/$n:/data/new/outputs/$n/out" -m "$T/in/$n/number:/gap/$n/file")
    done
    # shellcheck disable=SC2016 # for the sandbox's shell
    look='find /data /gap | sort; cat /gap/*/file /data/new/outputs/*/out/number; stat -c "%n %F %u" /gap /gap/7;
        for d in /gap /gap/7 /gap/7/file /data/new /data/new/outputs/7 /data/new/outputs/7/out; do
            touch "$d/x" 2>&1; mkdir "$d/y" 2>&1
        done; rm -r /gap/7 2>&1; rmdir /gap/8 2>&1; mv /gap/9 /gap/10 2>&1; true'
    staging auto
    listing "$FILES/images/merge-dir"
    without=$out
    listing "$FILES/images/merge-dir" "${options[@]}"
    diff <(echo "$without") <(grep -v '^/gap\($\|[/ ]\)\|^/data/new[/ ]' <<<"$out")
    ok exec --image "$FILES/images/merge-dir" "${options[@]}" -- /bin/busybox sh -c "PATH=/bin; $look"
    with=$out
    # one of the two is a bind of its own, and of our layer
    ok exec --image "$FILES/images/merge-dir" "${options[@]}" -- /bin/cat /proc/self/mountinfo
    [[ $(grep -c '^[^/]* /[^ ]* /gap ro,\|^[^/]* /[^ ]* /data/new ro,' <<<"$out") -eq 1 ]] || show
    staging off
    ok exec --image "$FILES/images/merge-dir" "${options[@]}" -- /bin/busybox sh -c "PATH=/bin; $look"
    diff <(echo "$with") <(echo "$out")
    [[ $(grep -c 'Read-only file system' <<<"$out") -ge 10 ]] || show
}

@test "an image kept as layers: cache list, verify, prune; a damaged layer is made again" {
    local file id
    ok image prepare "$FILES/images/merge-dir" --json
    [[ $(jq -r '.mode, .extracted' <<<"$out" | paste -sd ' ') == 'overlay true' ]] || show
    id=$(jq -r '.id | ltrimstr("sha256:")' <<<"$out")
    [[ $(jq -r .mode "$LOCAL/repx/store-v1/rootfs/$id/record.json") == overlay ]]
    absent "$LOCAL/repx/store-v1/rootfs/$id/root"
    ok cache list --json
    [[ $(jq -r '.[0] | .layers, (.bytes > 100000)' <<<"$out" | paste -sd ' ') == '6 true' ]] || show
    ok cache verify
    file=$(echo "$LOCAL"/repx/store-v1/layers/*/tree/nix/store/aaa/file)
    chmod u+w "$file"
    echo bbb >"$file"
    launch cache verify
    exits 1
    absent "$file"
    ok exec --image "$FILES/images/merge-dir" -- /bin/cat /nix/store/aaa/file
    prints aaa
    ok cache verify
    ok cache prune --all
    [[ -z $(find "$LOCAL/repx/store-v1/layers" "$LOCAL/repx/store-v1/rootfs" -mindepth 1) ]]
}

@test "a running sandbox keeps its layers" {
    local job
    mkfifo "$T/go"
    "$LAUNCH" exec --image "$FILES/images/merge-dir" -- /bin/sh -c \
        'echo up; read -r go; cat /nix/store/aaa/file /nix/store/bbb/file' <"$T/go" >"$T/job" 3>&- &
    job=$!
    exec 5>"$T/go"
    await test -s "$T/job"
    ok cache prune --all
    # another mode composes its own tree beside it
    staging flat
    ok exec --image "$FILES/images/merge-dir" -- /bin/true
    ok cache prune --all
    echo go >&5
    exec 5>&-
    wait "$job"
    same "$T/job" $'up\naaa\nbbb\n'
}
