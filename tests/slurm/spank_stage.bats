#!/usr/bin/env bats
# --repx-stage on a real Slurm: the image on the step's nodes before they start, over
# sbcast. The images lie where only srun sees them (the nodes have file systems of their
# own there), so that a step which runs was given its copy.
# shellcheck disable=SC2154 # status: of step

load helpers

setup_file() {
    plugin_start --nodes 2
    IMAGES=$LOCAL/images
    export IMAGES
    mkdir -p "$IMAGES"
    "$SOURCE/tests/make_images.py" "$IMAGES"
    chmod -R a+rX "$IMAGES"
    printf 'stage_path = "%s"\n' "$LOCAL" >>"$PLUGIN/repx.ini"
}

teardown_file() {
    sandbox_stop
}

setup() {
    cd "$SHARED" || return
    OUT=$BATS_TEST_TMPDIR/out ERR=$BATS_TEST_TMPDIR/err
}

# step IMAGE SRUN-ARGUMENT...: as the user; sets status, out and err.
step() {
    status=0
    as_user env PATH="${STEP_PATH:-$PATH}" srun -N2 -n2 --repx-image="$1" "${@:2}" \
        </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
}

# What is left of copies, on the nodes.
copies() {
    as_user srun -N2 -n2 find "$LOCAL" -maxdepth 1 -name 'repx-stage*'
}

# Every test has images of its own: what a node has extracted needs no copy.
fresh_stores() {
    as_user srun -N2 -n2 sh -c 'for d in "$0"/*/repx; do [ ! -e "$d" ] || chmod -R u+rwx "$d"; done; rm -rf "$0"/*/repx' "$LOCAL"
}

@test "an archive, a docker directory and an OCI layout get to nodes that do not see them" {
    local image
    for image in docker.tar docker-dir docker-gzip.tar oci-gzip oci-dir:two rootfs.tar.xz; do
        fresh_stores
        step "$IMAGES/$image" --repx-stage=bcast /bin/sh -c 'echo ran'
        ends 0
        [[ $out == $'ran\nran' ]] || show "$image"
        says "2 nodes: broadcasting the image"
        [[ $err != *SLURM_REPX* ]]
        [[ -z $(copies) ]]
    done
}

@test "without a broadcast such a step fails, on its nodes" {
    fresh_stores
    step "$IMAGES/docker.tar" --repx-stage=shared /bin/sh -c 'echo ran'
    ends 125
    says "docker.tar"
    [[ -z $out && $err != *broadcasting* ]] || show
}

@test "auto: few nodes read the image themselves" {
    cp "$IMAGES/docker.tar" "$SHARED/seen.tar"
    step "$SHARED/seen.tar" /bin/sh -c 'echo ran; env | grep -c REPX_STEP'
    [[ $(sort <<<"$out") == $'0\n0\nran\nran' && $err != *broadcasting* ]] || show
}

@test "a node that cannot take the copy: one message, nothing is started" {
    fresh_stores
    sed -i 's|^stage_path.*|stage_path = "/no/such/place"|' "$PLUGIN/repx.ini"
    step "$IMAGES/docker.tar" --repx-stage=bcast /bin/sh -c "touch '$SHARED/started'; echo ran"
    sed -i "s|^stage_path.*|stage_path = \"$LOCAL\"|" "$PLUGIN/repx.ini"
    [[ $status -ne 0 && -z $out && ! -e $SHARED/started ]] || show
    says "sbcast could not put the image on the step's nodes"
    says "--repx-stage=shared"
    nodes_up
}

@test "a broadcast that takes too long is ended" {
    mkdir -p "$SHARED/slow"
    printf '#!/bin/sh\necho $$ >"%s/slow/pid"\nexec sleep 600\n' "$SHARED" >"$SHARED/slow/sbcast"
    chmod 0755 "$SHARED/slow/sbcast"
    chmod 1777 "$SHARED/slow"
    printf 'stage_timeout = 1\n' >>"$PLUGIN/repx.ini"
    STEP_PATH=$SHARED/slow:$PATH step "$IMAGES/docker.tar" --repx-stage=bcast /bin/true
    sed -i '/^stage_timeout/d' "$PLUGIN/repx.ini"
    [[ $status -ne 0 ]] || show
    says "took longer than stage_timeout, 1 s"
    [[ ! -e /proc/$(<"$SHARED/slow/pid") ]]
}

@test "what cannot be broadcast is refused, or not broadcast" {
    mkdir -p "$SHARED/tree/bin"
    cp "$(command -v busybox)" "$SHARED/tree/bin/"
    ln -sf busybox "$SHARED/tree/bin/sh"
    step "$SHARED/tree" --repx-stage=bcast /bin/sh -c 'echo ran'
    [[ $status -ne 0 && -z $out ]] || show
    says "a directory is used in place"
    printf '[policy]\nallowed_images = ["%s"]\n' "$IMAGES" >>"$PLUGIN/repx.ini"
    step "$IMAGES/docker.tar" --repx-stage=bcast /bin/sh -c 'echo ran'
    sed -i '/^\[policy\]/,$d' "$PLUGIN/repx.ini"
    [[ $status -ne 0 && -z $out ]] || show
    says "the site allows images by their path"
}

@test "a variable from outside names no copy" {
    cp "$IMAGES/docker.tar" "$LOCAL/mine.tar"
    SLURM_REPX_STEP_STAGED=$LOCAL/mine.tar step "$SHARED/none.tar" /bin/sh -c 'echo ran'
    [[ $status -eq 125 && -z $out && -e $LOCAL/mine.tar ]] || show
}
