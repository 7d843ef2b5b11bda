#!/usr/bin/env bats
# repx-launch exec: every kind of image, exit codes, input, environment, mounts.
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
    image=$I/docker-dir
}

teardown() {
    test_end
}

# in_image COMMAND...: runs it in $image; must succeed.
in_image() {
    ok exec --image "$image" -- "$@"
}

# What the three layers make, seen from inside.
COMPOSED='/data/hard1
/data/hard2
/data/keep
/data/replaced
/data/soft
/opaque/new
/plain
/run.sh
/was-dir
/was-file/y'

# composed_right: the tree of $image inside a sandbox is what the layers say.
composed_right() {
    in_image /bin/find /data /opaque /plain /run.sh /was-dir /was-file ! -type d
    [[ $(sort <<<"$out") == "$COMPOSED" ]] || show "of $image"
    in_image /bin/cat /data/replaced /data/hard1 /data/hard2 /data/soft /opaque/new /was-dir /was-file/y
    prints $'new\nlinked\nlinked\nkeep\nnew\nnow a file\ny'
    in_image /bin/sh -c '[ /data/hard1 -ef /data/hard2 ] && [ ! -e /data/gone ] && [ ! -d /data/dir ]'
}

@test "docker-archive, unpacked and as a tar" {
    composed_right
    image=$I/docker.tar
    composed_right
}

@test "OCI layout, directory and tar, by tag and by digest" {
    image=$I/oci-dir:one
    composed_right
    image=$I/oci.tar
    composed_right
    image=$I/oci-dir:two
    in_image /bin/cat /data/gone
    prints gone
    image=$I/oci-dir@$(jq -r '.manifests[1].digest' "$I/oci-dir/index.json")
    in_image /bin/cat /data/gone
    launch exec --image "$I/oci-dir" -- /bin/true
    refused 125 'has 2 images'
    launch exec --image "$I/oci-dir:three" -- /bin/true
    refused 125 three
}

@test "layers that are compressed with gzip, zstd and xz" {
    for image in "$I"/docker-{gzip,zstd,xz}.tar "$I"/oci-{gzip,zstd}; do
        composed_right
    done
}

@test "a root filesystem: directory, tar, and tar compressed in three ways" {
    for image in "$I"/rootfs-dir "$I"/rootfs.tar{,.gz,.xz,.zst}; do
        in_image /bin/cat /data/gone /data/dir/a /opaque/old
        prints $'gone\na\nold'
    done
}

@test "an image without sh, /etc, /tmp, /proc and /dev" {
    image=$I/bare-dir
    in_image /busybox sh -c 'echo "$(id -u) $(id -un)"; echo x >/tmp/x; echo /*; [ -c /dev/null ] && [ -r /proc/self/stat ]'
    prints "$(id -u) $(id -un)"$'\n/busybox /dev /etc /proc /tmp'
    absent "$I"/bare-dir/{dev,etc,proc,tmp}
}

@test "made by skopeo and umoci" {
    umoci init --layout "$T/layout"
    umoci new --image "$T/layout:made"
    umoci unpack --rootless --image "$T/layout:made" "$T/bundle"
    cp "$I/bare-dir/busybox" "$T/bundle/rootfs/"
    umoci repack --image "$T/layout:made" "$T/bundle"
    image=$T/layout:made
    in_image /busybox echo umoci
    prints umoci
    skopeo copy -q --insecure-policy "oci:$T/layout:made" "docker-archive:$T/made.tar:made:latest"
    image=$T/made.tar
    in_image /busybox echo skopeo
    prints skopeo
}

@test "the second launch extracts nothing; images share layers" {
    ok image prepare "$I/docker-dir" --json
    [[ $(jq .extracted <<<"$out") == true && $(jq .bytes_read <<<"$out") -gt 1000000 ]]
    ok image prepare "$I/docker-dir" --json
    [[ $(jq .extracted <<<"$out") == false && $(jq .bytes_read <<<"$out") == 0 ]]
    # the same content in other forms is the same image
    for image in docker.tar docker-zstd.tar oci.tar oci-gzip; do
        ok image prepare "$I/$image" --json
        [[ $(jq .extracted <<<"$out") == false ]] || show "$image"
    done
    # an image of the first layer alone costs nothing to read
    ok image prepare "$I/oci-dir:two" --json
    [[ $(jq .bytes_read <<<"$out") == 0 ]]
    [[ $(find "$LOCAL/repx/store-v1/layers" -mindepth 1 -maxdepth 1 | wc -l) -eq 3 ]]
}

@test "a layer that is not what the image declares leaves nothing" {
    local layer
    cp -a "$I/docker-dir" "$T/image"
    layer=$(jq -r '.[0].Layers[1]' "$T/image/manifest.json")
    sed -i 's/linked/Linked/' "$T/image/$layer"
    launch exec --image "$T/image" -- /bin/true
    exits 125
    says "$T/image" sha256:
    [[ $(wc -l <<<"$err") -eq 1 ]]
    [[ -z $(find "$LOCAL/repx/store-v1/rootfs" "$LOCAL/repx/store-v1/tmp" -mindepth 1) ]]
    [[ $(find "$LOCAL/repx/store-v1/layers" -mindepth 1 -maxdepth 1 | wc -l) -le 2 ]]
    launch exec --image "$T/image" -- /bin/true
    exits 125
    sed -i 's/Linked/linked/' "$T/image/$layer"
    image=$T/image
    composed_right
}

@test "truncated layers and archives" {
    local layer
    cp -a "$I/docker-dir" "$T/image"
    layer=$(jq -r '.[0].Layers[0]' "$T/image/manifest.json")
    truncate -s 100000 "$T/image/$layer"
    launch exec --image "$T/image" -- /bin/true
    exits 125
    says "$T/image"
    for name in docker.tar docker-gzip.tar oci.tar rootfs.tar.gz rootfs.tar.zst; do
        head -c 300000 "$I/$name" >"$T/$name"
        launch exec --image "$T/$name" -- /bin/true
        exits 125
        says "$T/$name"
    done
    [[ -z $(find "$LOCAL/repx/store-v1/rootfs" "$LOCAL/repx/store-v1/tmp" -mindepth 1) ]]
}

@test "exit codes are the command's own" {
    local code
    for code in 0 1 2 42 124 125 126 127 128 129 255; do
        launch exec --image "$image" -- /bin/sh -c "exit $code"
        exits "$code"
        [[ -z $err || $code -eq 0 ]] || show 'a word about a code that is not ours'
    done
}

@test "126 what cannot be executed, 127 what is not there, 128+n for signals" {
    local signal
    launch exec --image "$image" -- /plain
    refused 126 /plain
    launch exec --image "$image" -- /data
    refused 126 /data
    launch exec --image "$image" -- /no/such/program
    refused 127 /no/such/program
    launch exec --image "$image" -- nosuchprogram
    refused 127 nosuchprogram
    for signal in 1 2 9 15; do
        launch exec --image "$image" -- /bin/sh -c "kill -$signal \$\$"
        exits $((128 + signal))
    done
}

@test "programs are found in the image's PATH, arguments arrive as they are" {
    in_image sh -c 'for a; do echo "<$a>"; done' x '' 'a b' $'n\nl' '*' '--image' "it's"
    prints $'<>\n<a b>\n<n\nl>\n<*>\n<--image>\n<it\'s>'
}

@test "without a command the image's own runs" {
    ok exec --image "$image"
    prints 'ran one two'
    launch exec --image "$I/rootfs-dir"
    refused 2 'no command'
}

@test "standard input, output and error are the caller's" {
    head -c 300000 /dev/zero | tr '\0' x >"$T/input"
    STDIN=$T/input ok exec --image "$image" -- /bin/cat
    cmp "$T/stdout" "$T/input"
    ok exec --image "$image" -- /bin/sh -c 'echo to-out; echo to-err >&2'
    prints to-out
    [[ $err == to-err ]]
}

@test "the working directory: the image's, --workdir, one that is missing" {
    in_image pwd
    prints /data
    ok exec --image "$image" --workdir /opaque -- pwd
    prints /opaque
    launch exec --image "$image" --workdir /nosuch -- pwd
    exits 125
    says /nosuch
}

@test "the environment: the image's, --env NAME=VALUE, --env NAME, nothing else" {
    unset LANG TZ "${!LC_@}" "${!OMP_@}" "${!NVIDIA_@}" CUDA_VISIBLE_DEVICES
    OUTER=1 ok exec --image "$image" -- /bin/env
    [[ $(sort <<<"$out" | tr '\n' ' ') == 'FROM_IMAGE=yes HOME=/tmp PATH=/bin PWD=/data TERM=xterm ' ]] || show
    OUTER=1 ok exec --image "$image" --env OUTER -e A=b=c -e FROM_IMAGE= -e NOSUCH -- /bin/env
    [[ $(sort <<<"$out" | tr '\n' ' ') == 'A=b=c FROM_IMAGE= HOME=/tmp OUTER=1 PATH=/bin PWD=/data TERM=xterm ' ]] || show
    launch exec --image "$image" -e =x -- /bin/env
    refused 2 'not the name of a variable'
}

@test "an image's LD_PRELOAD acts inside and not on bwrap" {
    ok exec --image "$image" -e LD_PRELOAD=/nosuch.so -- /bin/echo fine
    prints fine
    [[ -z $err ]]
}

@test "--mount-path: read-only, read-write, elsewhere, files, what is missing" {
    mkdir "$T/ro" "$T/rw"
    echo content >"$T/ro/file"
    ok exec --image "$image" -m "$T/ro" -m "$T/rw:/mnt/deep/rw:rw" -m "$T/ro/file:/etc/new.conf" -- /bin/sh -c \
        "cat $T/ro/file /etc/new.conf; echo made >/mnt/deep/rw/made; ! echo x 2>/dev/null >$T/ro/no; ! echo x 2>/dev/null >/etc/new.conf"
    prints $'content\ncontent'
    says impure
    same "$T/rw/made" $'made\n'
    absent "$T/ro/no"
    launch exec --image "$image" -m "$T/nosuch" -- /bin/true
    exits 125
    says "$T/nosuch"
    for bad in :/x a:b:c:d "$T/ro:/x:rx" "$T/ro:relative" "$T/ro:/a/../b"; do
        launch exec --image "$image" -m "$bad" -- /bin/true
        [[ $status -eq 2 || $status -eq 125 ]] || show "--mount-path $bad"
    done
}

@test "a mount that shadows /dev, /proc or the root is refused" {
    mkdir "$T/d"
    launch exec --image "$image" -m "$T/d:/" -- /bin/true
    refused 2 "$T/d:/"
    for dest in /proc /proc/self /dev; do
        launch exec --image "$image" -m "$T/d:$dest" -- /bin/true
        exits 125
        says "$dest"
    done
    launch exec --image "$image" -m "$T/d:/tmp" -- /bin/touch /tmp/x
    exits 1
}

@test "an image of the lab by its name; --native runs without one" {
    make_lab "$T/lab-lab" --image unified --sweep 1
    image=$(basename "$LAB"/images/*)
    in_image sh -c 'echo $0' x
    prints x
    ok exec --image "${image%.tar}" -- true
    ok exec --native --image "$image" -- /bin/sh -c 'echo "$HOME"'
    prints "$HOME"
    says 'no isolation'
}

@test "wrong images: missing, empty, a device, something else" {
    mkdir "$T/empty"
    : >"$T/zero"
    echo text >"$T/text"
    mkfifo "$T/fifo"
    for image in "$T/nosuch" "$T/empty" "$T/zero" "$T/text" "$T/fifo" /dev/null; do
        launch exec --image "$image" -- /bin/true
        refused 125 "$image"
    done
    launch exec -- /bin/true
    refused 2 --image
}

# As parameters.json is, by other units of the job: the kernel attaches no file that has no
# name any more.
@test "a file that is replaced all the time can be mounted, and mounted on" {
    local pid n many=()
    echo text >"$T/file"
    mkdir "$T/dir"
    echo text >"$T/dir/file"
    for n in {1..20}; do
        mkdir "$T/dir/$n"
        many+=(-m "$T:/two/$n")
    done
    while :; do
        for n in "$T/file" "$T/dir/file"; do
            echo text >"$n.new" && mv "$n.new" "$n"
        done
        sleep 0.001
    done 3>&- &
    pid=$!
    for ((n = 0; n < 40; n++)); do
        launch exec --image "$image" -m "$T/file:/one" -m "$T/dir:/two:rw" -m "$T/file:/two/file" \
            "${many[@]:0:n % 2 * 40}" -- /bin/cat /one /two/file
        [[ $status -eq 0 && $out == $'text\ntext' ]] || break
    done
    kill "$pid"
    wait "$pid" || true
    [[ $n -eq 40 ]] || show "launch $n"
}
