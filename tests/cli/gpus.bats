#!/usr/bin/env bats
# --gpus: CDI specifications of the site, as nvidia-ctk writes them, with devices and
# libraries that only look like it; in a mount namespace that has them in /etc/cdi.

# shellcheck disable=SC2154 # out and err: of helpers.bash
load ../helpers

setup_file() {
    FILES=$(scratch)
    chmod 0755 "$FILES"
    export FILES
    "$IMAGES" "$FILES/images"
    mkdir -p "$FILES/gpu" "$FILES/lib" "$FILES/etc/cdi"
    for n in 0 1 2 ctl; do
        mknod -m 0666 "$FILES/gpu/nvidia$n" c 1 3
    done
    cc -shared -Wl,-soname,libfakecuda.so.1 -o "$FILES/lib/libfakecuda.so.535.1" -x c /dev/null
    echo '{}' >"$FILES/lib/config.json"
    cp -a /etc/ld.so.cache /etc/passwd /etc/group /etc/nsswitch.conf "$FILES/etc"
    spec >"$FILES/etc/cdi/nvidia.yaml"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    cp -a "$FILES/etc" "$T/etc"
    IMG=$FILES/images/docker-dir
}

teardown() {
    test_end
}

# device NAME NODE...: an entry of devices.
device() {
    local node
    printf -- '- name: "%s"\n  containerEdits:\n    deviceNodes:\n' "$1"
    shift
    for node; do
        printf -- '    - path: /dev/nvidia%s\n      hostPath: %s\n' "$node" "$FILES/gpu/nvidia$node"
    done
}

# spec: what nvidia-ctk cdi generate prints, in small.
spec() {
    printf -- '---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n'
    device 0 0
    device 1 1
    device GPU-2222 2
    device all 0 1 2
    cat <<YAML
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  deviceNodes:
  - path: /dev/nvidiactl
    hostPath: $FILES/gpu/nvidiactl
  hooks:
  - hookName: createContainer
    path: /usr/bin/nvidia-ctk
    args:
    - nvidia-ctk
    - hook
    - create-symlinks
    - --link
    - libfakecuda.so.1::/usr/lib/gpu/libfakecuda.so
  - hookName: createContainer
    path: /usr/bin/nvidia-ctk
    args: [nvidia-ctk, hook, update-ldcache, --folder, /usr/lib/gpu]
  mounts:
  - hostPath: $FILES/lib/libfakecuda.so.535.1
    containerPath: /usr/lib/gpu/libfakecuda.so.535.1
    options: [ro, nosuid, nodev, rbind, rprivate]
  - hostPath: $FILES/lib/config.json
    containerPath: /etc/gpu/config.json
    options: [ro, nosuid, nodev, bind]
YAML
}

# site COMMAND...: where the site's configuration is the test's own.
site() {
    status=0
    T=$T unshare -m bash -c 'mount --bind "$T/etc" /etc && exec "$@"' site "$@" \
        </dev/null >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

# sees OPTION... -- COMMAND: what a shell in the image prints, for root and a user alike.
sees() {
    site env "${vars[@]}" "$LAUNCH" exec --image "$IMG" -q "${@:1:$#-1}" -- sh -c "${*: -1}"
    exits 0
}

vars=(A=)
nodes='cd /dev; echo nvidia*'

@test "the devices that are named, and what they need" {
    sees --gpus 0,nvidia.com/gpu=GPU-2222 "$nodes; "'
        [ -c nvidia0 ] && : >nvidia0 && cat nvidia2
        ls /usr/lib/gpu /run/opengl-driver/lib
        for dir in /usr/lib/gpu /run/opengl-driver/lib; do
            readlink $dir/libfakecuda.so.1; readlink $dir/libfakecuda.so
        done
        cat /etc/gpu/config.json
        echo "$LD_LIBRARY_PATH $NVIDIA_VISIBLE_DEVICES"
        ! (: >/etc/gpu/config.json) 2>/dev/null && ! (: >/usr/lib/gpu/x) 2>/dev/null && echo read-only'
    prints "nvidia0 nvidia2 nvidiactl
/run/opengl-driver/lib:
libfakecuda.so
libfakecuda.so.1

/usr/lib/gpu:
libfakecuda.so
libfakecuda.so.1
libfakecuda.so.535.1
libfakecuda.so.535.1
libfakecuda.so.1
/usr/lib/gpu/libfakecuda.so.535.1
libfakecuda.so.1
{}
/run/opengl-driver/lib void
read-only"
}

@test "none without being asked, and none when Slurm gave none" {
    sees 'ls /dev/nvidia* 2>/dev/null; echo "${LD_LIBRARY_PATH-unset}"'
    prints unset
    sees --gpus auto 'ls /dev/nvidia* 2>/dev/null; echo "${LD_LIBRARY_PATH-unset}"'
    prints unset
    vars=(CUDA_VISIBLE_DEVICES=NoDevFiles SLURM_JOB_GPUS=0)
    sees --gpus auto 'ls /dev/nvidia* 2>/dev/null; echo end'
    prints end
}

@test "auto: what Slurm gave the task, counted from 0 inside" {
    vars=("SLURM_STEP_GPUS=0,1,2" CUDA_VISIBLE_DEVICES=2)
    sees --gpus auto "$nodes; "'echo $CUDA_VISIBLE_DEVICES'
    prints 'nvidia2 nvidiactl
0'
    # a cgroup hides the others, and the task's number is the second of the step's
    vars=("SLURM_STEP_GPUS=1,2" CUDA_VISIBLE_DEVICES=0)
    sees --gpus auto "$nodes; "'echo $CUDA_VISIBLE_DEVICES'
    prints 'nvidia1 nvidiactl
0'
    vars=(CUDA_VISIBLE_DEVICES=GPU-2222)
    sees --gpus auto "$nodes; "'echo $CUDA_VISIBLE_DEVICES'
    prints 'nvidia2 nvidiactl
GPU-2222'
    vars=("SLURM_JOB_GPUS=0,1" REPX_GPUS=auto)
    sees "$nodes"
    prints 'nvidia0 nvidia1 nvidiactl'
}

@test "for a user who is not root, with either way of making mounts" {
    local way
    chmod -R a+rX "$T" "$FILES"
    install -d -o 61001 -g 61001 "$T/u"
    cp "$BUILD/src/repx-launch" "$BUILD/src/repx-sandbox-init" "$T/u/"
    for way in auto flat off; do
        printf '[targets.local]\nstaging = "%s"\ngpus = "all"\n' "$way" >"$T/u/repx.ini"
        site setpriv --reuid 61001 --regid 61001 --clear-groups env HOME="$T/u" \
            REPX_BASE_PATH="$T/u/base" REPX_NODE_LOCAL_PATH="$T/u/local" XDG_CONFIG_HOME= \
            "$T/u/repx-launch" exec --config "$T/u/repx.ini" --image "$IMG" -q -- \
            sh -c "$nodes && : >nvidia1 && cat /usr/lib/gpu/libfakecuda.so >/dev/null && echo ok"
        exits 0
        prints 'nvidia0 nvidia1 nvidia2 nvidiactl
ok'
    done
}

# fails TEXT...: of --gpus 0.
fails() {
    site "$LAUNCH" exec --image "$IMG" --gpus "${gpus:-0}" -- true
    refused 125 "$@"
}

@test "what is wrong is said in one sentence" {
    launch exec --image "$IMG" --gpus 0,,1 -- true
    refused 2 "option --gpus: '0,,1' is neither none nor auto"
    gpus=7 fails "there is no device '7'" nvidia.com/gpu=GPU-2222
    gpus=amd.com/gpu=0 fails "there is no device 'amd.com/gpu=0'"
    gpus=auto vars=() SLURM_STEP_GPUS=1 CUDA_VISIBLE_DEVICES=5 fails "GPU 5 of CUDA_VISIBLE_DEVICES is none of the step's"
    sed -i 's|hostPath: .*/nvidia0|hostPath: /nowhere/nvidia0|' "$T/etc/cdi/nvidia.yaml"
    fails 'no device file /nowhere/nvidia0' 'make it again'
    sed -i "s|hostPath: .*/nvidia0|hostPath: $FILES/lib/config.json|" "$T/etc/cdi/nvidia.yaml"
    fails 'config.json is no device file'
    sed -i "s|hostPath: .*/config.json|hostPath: /nowhere/lib|" "$T/etc/cdi/nvidia.yaml"
    gpus=1 fails /nowhere/lib 'make it again'
    echo 'a: [' >"$T/etc/cdi/broken.yaml"
    gpus=1 fails 'CDI specification /etc/cdi/broken.yaml: not valid YAML'
    rm "$T"/etc/cdi/*
    fails 'no CDI specification in /etc/cdi and /run/cdi' 'nvidia-ctk cdi generate'
}

@test "the site decides: who may, and where the specifications are" {
    mkdir "$T/etc/repx" "$T/cdi"
    printf '[policy]\nallow_gpus = false\n' >"$T/etc/repx/repx.ini"
    fails 'gpus 0 (command line --gpus) is not allowed here'
    sees true
    printf '[policy]\ncdi_dirs = ["/etc/cdi", "%s"]\n' "$T/cdi" >"$T/etc/repx/repx.ini"
    # JSON, and a later directory, which counts
    jq -n --arg dev "$FILES/gpu/nvidia1" '{cdiVersion: "0.6.0", kind: "nvidia.com/gpu", devices: [
        {name: "0", containerEdits: {deviceNodes: [{path: "/dev/nvidia-other", hostPath: $dev}],
         hooks: [{hookName: "createContainer", path: "/opt/hook", args: ["hook", "strange"]}]}}]}' \
        >"$T/cdi/other.json"
    site "$LAUNCH" exec --image "$IMG" --gpus 0 -- sh -c "$nodes"
    exits 0
    prints nvidia-other
    says 'the hook /opt/hook strange is left out'
    chmod o+w "$T/cdi/other.json"
    fails 'other.json' 'can be written to by others'
    chmod o-w "$T/cdi/other.json"
    chmod o+w "$T/cdi"
    fails 'other.json' 'can be written to by others'
    # a user's own configuration cannot name directories
    printf '[policy]\ncdi_dirs = ["%s"]\n' "$T/cdi" >"$T/mine.ini"
    launch exec --config "$T/mine.ini" --image "$IMG" --gpus 0 -- true
    refused 125 'counts only in the site file'
}

@test "plan, native and doctor" {
    make_lab "$T/exp-lab" --image unified --sweep 1
    site "$LAUNCH" plan "$(job stage-A)" --gpus 1 --json
    exits 0
    [[ $(jq -r '[.mounts[] | select(.role == "gpu") | .kind] | group_by(.) | map("\(.[0]) \(length)") | join(",")' \
        "$T/stdout") == 'bind-dev 2,bind-ro 2,symlink 4' ]] || show
    site "$LAUNCH" run "$(job stage-A)" --gpus 1 --native
    exits 0
    says '--gpus 1 is not applied'
    site "$LAUNCH" doctor --json
    [[ $(jq -r '.[] | select(.check == "gpus") | "\(.result) \(.text)"' "$T/stdout") == \
        'ok nvidia.com/gpu=0, nvidia.com/gpu=1, nvidia.com/gpu=GPU-2222, nvidia.com/gpu=all' ]] || show
    echo x >"$T/etc/cdi/x.json"
    site "$LAUNCH" doctor --json
    [[ $(jq -r '.[] | select(.check == "gpus") | .result' "$T/stdout") == note ]]
}
