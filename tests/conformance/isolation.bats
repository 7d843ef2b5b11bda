#!/usr/bin/env bats
# What a job sees (CONTRACT section 3): every property, in every sandbox, for every kind
# of user. RUNTIMES="bwrap podman" in the environment tests those; STAGING=off
# lets bwrap make the mounts; ONE_USER takes an ordinary one.

load ../helpers
load runtimes

RUNTIMES=${RUNTIMES:-bwrap}
runtime='' user='' # of the check that is under way

setup_file() {
    conformance_setup 2
}

teardown_file() {
    conformance_teardown
}

setup() {
    conformance_begin
    cp -a "$FILES/sim-lab" "$T/sim-lab"
    use_lab "$T/sim-lab"
    export REPX_NO_VERIFY_LAB=1 # the tests change the lab's scripts
    producer=$(job stage-A 0) consumer=$(job stage-B 0)
    NIX_SHELL=$(head -n 1 "$(script "$producer")" | cut -c3-)
    mkdir "$T/host"
}

teardown() {
    if [[ -n ${listener:-} ]]; then
        kill "$listener"
        wait "$listener" || true
    fi
    scratch_remove "${elsewhere:-}"
    test_end
}

reseal() {
    :
}

# in_job [OPTION...] <SCRIPT: runs it as the consumer, after its producer; sets out to
# what it prints, stderr included. The script has $out, $inputs_json and $input.
in_job() {
    if [[ ! -e $(repx_of "$producer")/SUCCESS ]]; then
        ok run "$producer"
    fi
    {
        printf '#!%s\nout=$1 inputs_json=$2 input=%q\nexec 2>&1\n' \
            "$NIX_SHELL" "$(out_of "$producer")/numbers.txt"
        cat
        printf 'echo 1 >"$out/numbers.txt"\n'
    } | set_script "$consumer"
    ok run "$@" "$consumer"
    out=$(<"$(repx_of "$consumer")/stdout.log")
}

# is TEXT: what the job printed.
is() {
    [[ $out == "$1" ]] || { diff <(echo "$1") <(echo "$out"); return 1; }
}

# docker's /dev is a tmpfs of its own, in which only root could make files.
read_only_root() {
    local dev=/dev places=20
    [[ $runtime != docker ]] || dev='' places=19
    in_job <<JOB
for d in / /bin /etc /var /var/empty /nix /nix/store $dev $BASE $BASE/outputs $BASE/outputs/$consumer \
    $(repx_of "$consumer") $BASE/outputs/$producer $(out_of "$producer") $LAB $LAB/jobs/$consumer/bin $LAB/store; do
    [ -d \$d ] || echo "no \$d"
    echo x >\$d/new-file && echo "wrote \$d"
done
echo x >/etc/passwd
echo x >"\$0"
mkdir /new-directory
JOB
    [[ $out != *wrote* && $out != *'no /'* ]] || show
    [[ $(grep -c 'Read-only file system' <<<"$out") -eq $(wc -l <<<"$out") ]] || show
    [[ $(wc -l <<<"$out") -eq $places ]] || show
    absent "$LAB/jobs/$consumer/bin/new-file"
}

@test "root filesystem: the image, read-only: EROFS" {
    each read_only_root
}

image_is_root() {
    in_job <<<'cat /etc/hostname 2>/dev/null; ls -d /usr/bin /var/empty; ls /home /root /boot /lib /opt 2>/dev/null; readlink /bin/sh'
    is "/usr/bin
/var/empty
${NIX_SHELL%/sh}/sh"
}

@test "root filesystem: nothing of the host's" {
    each image_is_root
}

nix_store() {
    in_job <<<'for p in /nix/store/*/bin/busybox; do echo x >$p; rm -f $p; chmod 777 $p; done; ls /nix/store | wc -l; ls /nix'
    [[ $(grep -c 'Read-only file system' <<<"$out") -eq 3 ]] || show
    [[ $(tail -n 2 <<<"$out") == $'1\nstore' ]] || show
}

@test "/nix/store: the image's, read-only" {
    each nix_store
}

fresh_tmp() {
    local round
    for round in 1 2; do
        in_job <<<'ls -A /tmp; awk "\$2 == \"/tmp\" {print \$3}" /proc/mounts; stat -c %a /tmp; echo x >/tmp/mine && ls /tmp; mkdir /tmp/d && cp /bin/sh /tmp/d/sh && /tmp/d/sh -c "echo runs"'
        is $'tmpfs\n1777\nmine\nruns'
    done
    absent /tmp/mine
}

@test "/tmp: a tmpfs, empty, writable, another one for every job" {
    each fresh_tmp
}

out_writable() {
    in_job <<JOB
pwd; [ "\$out" = $(out_of "$consumer") ] && echo same
mkdir -p \$out/d/e && echo text >\$out/d/e/file && ln \$out/d/e/file \$out/hard && ln -s hard \$out/soft && rm -r \$out/d && cat \$out/soft
chmod 750 \$out/hard; touch \$out/../escape
JOB
    is "$(out_of "$consumer")
same
text
touch: $(out_of "$consumer")/../escape: Read-only file system"
    same "$(out_of "$consumer")/hard" $'text\n'
    [[ $(stat -c '%u %g %a' "$(out_of "$consumer")/hard") == "${ME% *} 750" ]]
}

@test "\$out: read-write at the same path, files belong to the caller" {
    each out_writable
}

only_inputs() {
    ok run "$(job stage-A 1)"
    "${AS[@]}" cp "$BUILD/CMakeCache.txt" "$(out_of "$producer")/undeclared" 2>/dev/null ||
        ok run "$producer"
    "${AS[@]}" touch "$BASE/secret" "$BASE/outputs/$producer/secret"
    in_job <<JOB
cat \$input; echo x >\$input; rm \$input; touch \$input; rm \$out/*
find $BASE -type f | sort; ls -A $BASE $BASE/outputs
JOB
    [[ $(head -n 5 <<<"$out") == $'1\n2\n3\n4\n5' ]] || show
    [[ $(grep -c 'Read-only file system\|Device or resource busy' <<<"$out") -eq 3 ]] || show
    [[ $(grep "^$BASE/[^ ]*[^ :]$" <<<"$out") == "$(sort <<LIST
$(out_of "$producer")/numbers.txt
$(repx_of "$consumer")/inputs.json
$(repx_of "$consumer")/parameters.json
LIST
)" ]] || show
    [[ $(tail -n 6 <<<"$out") == "$BASE:
outputs

$BASE/outputs:
$(printf '%s\n' "$consumer" "$producer" | sort)" ]] || show
    same "$(out_of "$producer")/numbers.txt" $'1\n2\n3\n4\n5\n'
}

@test "inputs: the declared ones, read-only, at the same path; nothing else of the store" {
    each only_inputs
}

lab_parts() {
    in_job <<JOB
ls -A $LAB; ls $LAB/jobs; ls $LAB/revision $LAB/lab $LAB/images 2>/dev/null
[ -x $LAB/jobs/$consumer/bin/stage-B-consumer ] && echo package
case \$PATH in $LAB/host-tools/*/bin:*) echo first;; esac
first=\${PATH%%:*}; [ -x \$first/tar ] && [ -x \$first/jq ] && [ \$(echo | \$first/wc -l) = 1 ] && echo works
ls -A ${LAB%/*}
JOB
    is "host-tools
jobs
store
$consumer
package
first
works
$(printf '%s\n' "${LAB##*/}" "${BASE%/store}" | sed 's|.*/||' | sort)"
}

@test "the lab: the job's package, host-tools first in PATH and working; nothing else" {
    each lab_parts
}

# listener: something on the host's loopback that answers; sets port.
listener() {
    python3 -c '
import socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"answer\n")
    c.close()' >"$T/port" 3>&- &
    listener=$!
    await test -s "$T/port"
    port=$(<"$T/port")
}

no_network() {
    local probe
    probe="nc 127.0.0.1 $port </dev/null && echo connected; ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | sed 's/:.*//; s/ //g'; ip -o addr show lo | grep -c 'inet 127.0.0.1'"
    in_job <<<"$probe"
    [[ $out == *'onnection refused'* && $out != *answer* && $out != *connected* ]] || show
    [[ $(tail -n 2 <<<"$out") == $'lo\n1' ]] || show
    in_job --network host <<<"nc 127.0.0.1 $port </dev/null"
    [[ $out == *answer* ]] || show
    [[ $(record "$consumer" .runtime.network) == host ]]
}

@test "network: loopback only; the host's with --network host" {
    listener
    each no_network
}

@test "abstract sockets of the host are not reachable" {
    python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0" + sys.argv[1])
s.listen()
open(sys.argv[2], "w").write("ready")
time.sleep(60)' "repx-$$" "$T/ready" 3>&- &
    listener=$!
    await test -s "$T/ready"
    abstract_hidden() { in_job <<<"grep -c repx-$$ /proc/net/unix || true" && is 0; }
    each abstract_hidden
}

# job_env: the environment of the job, but for what its shell adds.
job_env() {
    in_job "$@" <<<'env | sort'
    local tools
    tools=$(echo "$LAB"/host-tools/*/bin)
    out=${out/"$tools"/HOST-TOOLS}
    out=$(grep -v '^\(_\|SHLVL\|OLDPWD\)=' <<<"$out")
}

cleared() {
    export FOO=1 LD_LIBRARY_PATH=/x PYTHONPATH=/x CUDA_OTHER=1 LANGUAGE=de XDG_RUNTIME_DIR=/x DISPLAY=:0
    job_env
    is "HOME=/tmp
PATH=HOST-TOOLS:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PWD=$(out_of "$consumer")
TERM=xterm"
}

@test "environment: cleared, then PATH, TERM, HOME=/tmp" {
    unset LANG TZ "${!LC_@}" "${!OMP_@}" "${!NVIDIA_@}" CUDA_VISIBLE_DEVICES
    each cleared
}

pass_list() {
    local name
    for name in SLURM_JOB_ID PMI_RANK PMIX_RANK OMPI_X OMP_NUM_THREADS CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES \
        ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES TZ LANG LC_ALL; do
        export "$name=C"
    done
    export FOO=1 MY_A=1 MY_B=2 EXTRA='two words'
    printf '[targets.local]\nbase_path = "%s"\nenv_pass = ["MY_*", "EXTRA"]\n' "$BASE" >"$T/pass.ini"
    chmod 0644 "$T/pass.ini"
    job_env --config "$T/pass.ini" -e SET=x -e FOO
    is "$(sort <<LIST
HOME=/tmp
PATH=HOST-TOOLS:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PWD=$(out_of "$consumer")
TERM=xterm
SLURM_JOB_ID=C
PMI_RANK=C
PMIX_RANK=C
OMPI_X=C
OMP_NUM_THREADS=C
CUDA_VISIBLE_DEVICES=C
NVIDIA_VISIBLE_DEVICES=C
ROCR_VISIBLE_DEVICES=C
HIP_VISIBLE_DEVICES=C
TZ=C
LANG=C
LC_ALL=C
MY_A=1
MY_B=2
EXTRA=two words
SET=x
FOO=1
LIST
)"
}

@test "environment: the pass list, env_pass, --env" {
    unset "${!LC_@}" "${!OMP_@}" "${!NVIDIA_@}"
    export LC_ALL=C
    each pass_list
}

identity() {
    in_job <<<'id -u; id -g; id -un; grep -c "^$(id -un):x:$(id -u):$(id -g):" /etc/passwd; echo ~'
    is "$(tr ' ' '\n' <<<"$ME")
1
/tmp"
}

@test "identity: the caller's uid, gid and name" {
    each identity
}

# Podman looks its users up.
unknown() {
    become nobody
    chown -R 54321:54322 "${BASE%/*}"
    export REPX_NODE_LOCAL_PATH=$BASE/local
    AS=(setpriv --reuid 54321 --regid 54322 --groups "$(id -g nobody)")
    [[ -z ${NAMESPACE:-} ]] || AS=(in_namespace "${AS[@]}")
    if [[ $runtime == podman ]]; then
        launch exec --image "$FILES/images/docker.tar" -- /bin/true
        exits 125
        [[ $(wc -l <"$T/stderr") -eq 1 ]] || show 'not one line'
        says podman subuid
    else
        in_job <<<'id -u; id -g; id -un >/dev/null && echo named'
        is $'54321\n54322\nnamed'
    fi
}

@test "identity: a user whom the host does not know" {
    [[ $(id -u) -eq 0 ]] || return 0
    each unknown
}

minimal_dev() {
    in_job <<JOB
ls /dev | sort; for d in null zero full random urandom tty; do [ -c /dev/\$d ] || echo "no \$d"; done
echo x >/dev/null && head -c 2 /dev/zero | wc -c; head -c 2 /dev/urandom | wc -c
echo x >/dev/shm/a && cat /dev/shm/a; ls /dev/pts
JOB
    while read -r name; do
        case $name in
        console | core | fd | full | null | ptmx | pts | random | shm | std* | tty | urandom | zero | mqueue) ;;
        *) show "unexpected in /dev: $name" ;;
        esac
    done < <(sed '/^2$/,$d' <<<"$out")
    [[ $(tail -n 4 <<<"$out") == $'2\n2\nx\nptmx' ]] || show
    absent /dev/shm/a
}

@test "devices: /dev minimal, /dev/shm of its own" {
    each minimal_dev
}

# gpu_site: sets SITE, a prefix with which a command sees an /etc where the site describes
# two GPUs, which only look like it.
gpu_site() {
    local n
    mkdir "$T/gpu"
    chmod 0755 "$T" "$T/gpu"
    for n in 0 1; do
        mknod -m 0666 "$T/gpu/nvidia$n" c 1 3
    done
    echo 'a library' >"$T/gpu/libgpu.so.1"
    cp -a /etc "$T/etc"
    mkdir -p "$T/etc/cdi"
    [[ ! -e $FILES/subids ]] || tee "$T/etc/subuid" <"$FILES/subids" >"$T/etc/subgid"
    jq -n --arg dir "$T/gpu" '{cdiVersion: "0.5.0", kind: "nvidia.com/gpu",
        devices: [range(2) | {name: "\(.)", containerEdits: {deviceNodes:
            [{path: "/dev/nvidia\(.)", hostPath: "\($dir)/nvidia\(.)"}]}}],
        containerEdits: {env: ["NVIDIA_VISIBLE_DEVICES=void"],
            mounts: [{hostPath: "\($dir)/libgpu.so.1", containerPath: "/usr/lib/gpu/libgpu.so.1"}],
            hooks: [{hookName: "createContainer", path: "/usr/bin/nvidia-ctk", args: ["nvidia-ctk",
                "hook", "create-symlinks", "--link", "libgpu.so.1::/usr/lib/gpu/libgpu.so"]}]}}' \
        >"$T/etc/cdi/nvidia.json"
    # shellcheck disable=SC2016
    SITE=(unshare --mount bash -c 'mount --bind "$0" /etc && exec "$@"' "$T/etc")
}

gpus() {
    if [[ ${AS[0]:-} == in_namespace ]]; then
        AS=(in_namespace "${SITE[@]}" "${AS[@]:1}")
    else
        AS=("${SITE[@]}" "${AS[@]}")
    fi
    in_job --gpus 1 <<<'cd /dev; echo nvidia*; : >nvidia1 && cat nvidia1 /usr/lib/gpu/libgpu.so
        readlink /run/opengl-driver/lib/libgpu.so; echo $NVIDIA_VISIBLE_DEVICES $LD_LIBRARY_PATH
        (: >/usr/lib/gpu/libgpu.so.1) 2>/dev/null || echo read-only'
    is 'nvidia1
a library
libgpu.so.1
void /run/opengl-driver/lib
read-only'
    [[ $(record "$consumer" '.gpus[]') == nvidia.com/gpu=1 ]]
    in_job <<<'ls /dev | grep -c nvidia'
    is 0
}

@test "GPUs: the device that is asked for, with its libraries, read-only; none otherwise" {
    [[ $(id -u) -eq 0 ]] || skip 'only root can make device files'
    gpu_site
    each gpus
}

no_privileges() {
    in_job <<'JOB'
grep -E '^(NoNewPrivs|CapEff|CapPrm|CapInh|CapBnd|CapAmb)' /proc/self/status | tr -d '\t'
mount -t tmpfs x /var/empty && echo mounted
mount -o remount,rw / && echo remounted
mount -o remount,bind,rw /nix/store && echo remounted
JOB
    [[ $(head -n 6 <<<"$out") == 'CapInh:0000000000000000
CapPrm:0000000000000000
CapEff:0000000000000000
CapBnd:0000000000000000
CapAmb:0000000000000000
NoNewPrivs:1' ]] || show
    [[ $out != *mounted* ]] || show
}

@test "privileges: none, and no way to gain some" {
    each no_privileges
}

@test "privileges: set-user-ID programs of the image have no effect" {
    cp -a "$FILES/images/rootfs-dir" "$T/suid-dir"
    mkdir "$T/suid-dir/bin/s"
    cp "$T/suid-dir/bin/busybox" "$T/suid-dir/bin/s/id"
    chmod 6755 "$T/suid-dir/bin/s/id"
    tar -C "$T/suid-dir" -cf "$T/suid.tar" .
    no_setuid() {
        launch exec --image "$T/suid-dir" -- /bin/s/id -u
        exits 0
        [[ $out == "${ME%% *}" ]] || show
        launch exec --image "$T/suid.tar" -- /bin/s/id -u
        exits 0
        [[ $out == "${ME%% *}" ]] || show
        [[ -z $(find "$LOCAL/repx/store-v1" -perm /6000) ]]
    }
    each no_setuid
}

own_processes() {
    in_job <<JOB
ls /proc | grep -c '^[0-9]'; kill -0 $$ 2>/dev/null && echo reached; [ -d /proc/$$/fd ] && echo seen
cat /proc/sys/kernel/hostname | wc -l; ls /proc/self/fd | tr '\n' ' '; echo; ls -l /proc/1/exe /proc/1/root 2>/dev/null | grep -c $T || true
JOB
    [[ $(head -n 1 <<<"$out") -le 5 && $out != *reached* && $out != *seen* ]] || show
    [[ $(sed -n 3p <<<"$out") == '0 1 2 3 ' ]] || show 'descriptors'
}

@test "processes: only its own; no descriptors of the launcher" {
    each own_processes
}

separate() {
    local kind own
    in_job <<<'for n in mnt pid ipc net uts user cgroup; do readlink /proc/self/ns/$n; done'
    for kind in mnt pid ipc net uts; do
        own=$(grep "^$kind:" <<<"$out")
        [[ -n $own && $own != "$(readlink "/proc/self/ns/$kind")" ]] ||
            show "$kind namespace is the host's"
    done
}

@test "namespaces: mount, pid, ipc, net and uts are not the host's" {
    each separate
}

# missing_points IMAGE: mount points below existing directories, deep ones, odd names.
missing_points() {
    local n=0 dest options=() dests
    dests=(/srv/have/new /srv/have/file-here/a/b/c /etc/inner/added /brand/new/deep/path '/srv/with space/x' \
        '/srv/com,ma' "/srv/quo'te" '/srv/dou"ble' '/srv/co:lon' '/srv/back\slash' /srv/ünïcode '/srv/star*?[x]' /usr/lib/plugin /linked/made)
    for dest in "${dests[@]}"; do
        n=$((n + 1))
        mkdir -p "$T/host/$n"
        echo "$n" >"$T/host/$n/id"
        options+=(-m "$T/host/$n:${dest//:/\\:}")
    done
    chmod -R a+rX "$T/host"
    launch exec --image "$FILES/images/odd-dir" "${options[@]}" -- /bin/sh -c \
        'for d; do cat "$d/id"; echo 2>/dev/null x >"$d/w" && echo wrote; done; cat /srv/have/known /srv/top /etc/inner/conf /real/deep/file
         ls /srv/have; readlink /linked; readlink /srv/escape; for d in /srv /srv/have /etc /etc/inner /brand /real /usr/lib /; do echo x 2>&1 >$d/w; done | grep -c "Read-only file system"' x "${dests[@]}"
    exits 0
    is "$(seq "$n")
known
top
conf
deep
file-here
known
new
/real
../../../../../etc
8"
    absent "$FILES/images/odd-dir/srv/have/new" "$FILES/images/odd-dir/brand"
    # the tree in the store has not got them either
    [[ -z $(find "$LOCAL/repx" -name brand -o -name 'com,ma' -o -path '*have/new') ]]
}

@test "mount points that the image lacks, below what it has, with any name" {
    each missing_points
}

links_followed_inside() {
    echo secret >"$T/host/secret"
    launch exec --image "$FILES/images/odd-dir" -m "$T/host/secret:/srv/escape/shadow2" -- /bin/sh -c 'cat /etc/shadow2; ls /etc'
    exits 0
    [[ $(head -n 1 <<<"$out") == secret && $out == *inner* ]] || show
    absent /etc/shadow2
}

@test "links of the image on the way to a mount point stay in the image" {
    each links_followed_inside
}

odd_base() {
    local odd="$BASE a:b,c'd\"e\\f ünï"
    BASE=$odd
    export REPX_BASE_PATH=$odd
    in_job <<<'pwd; cat "$input"'
    is "$(out_of "$consumer")
1
2
3
4
5"
    same "$(out_of "$consumer")/numbers.txt" $'1\n'
}

@test "a base path with spaces, colons, commas, quotes, a backslash" {
    each odd_base
}

@test "a base path below /tmp" {
    base_in_tmp() {
        BASE=$elsewhere/$user/store
        mkdir -p "$elsewhere/$user"
        [[ $user == self ]] || chown nobody: "$elsewhere/$user"
        export REPX_BASE_PATH=$BASE
        in_job <<<"ls -A /tmp; cat \$input; echo x >/tmp/y && echo tmp; echo x >\$input"
        [[ $(head -n 7 <<<"$out") == "${elsewhere##*/}"$'\n1\n2\n3\n4\n5\ntmp' && $out == *'Read-only file system' ]] || show
    }
    elsewhere=$(mktemp -d /tmp/repx-test.XXXXXX)
    chmod 0755 "$elsewhere"
    each base_in_tmp
}

outputs_hidden_in_steps() {
    use_lab "$T/scatter-lab"
    ok run "$(job stage-A)"
    ok run "$(job stage-B)"
    id=$(job stage-S)
    ok run "$id"
    same "$(out_of "$id")/sums.txt" $'4\n16\n36\n'
    out=$(<"$BASE/outputs/$id/branch-1/step-square/repx/stdout.log")
    [[ $out == *"
found $BASE/outputs/$id/branch-1/step-extract/out/number.txt
"* && $out != *branch-0* && $out != *branch-2* && $out != *scatter/out* ]] || show
}

@test "a step of one branch does not see another branch" {
    "$MAKE_LAB" --image unified --sweep 1 --scatter --shebang nix "$T/scatter-lab" >/dev/null
    use_lab "$T/scatter-lab"
    cp "$(script "$(job stage-S)" step-square)" "$T/square"
    sed '2i find "$(dirname "$1")/../.." -type f | sed "s|/step-square/out/../..|/|; s|^|found |" | while read -r a p; do echo "$a $(cd "${p%/*}" \&\& pwd)/${p##*/}"; done; echo end' \
        "$T/square" | set_script "$(job stage-S)" step-square
    each outputs_hidden_in_steps
}

impure_host() {
    in_job --mount-host-paths <<JOB
/usr/bin/env true && echo host-program; cat $T/host/file; ls -d /etc/os-release
echo "\$HOME"; tail -n +3 /proc/net/dev | wc -l
[ -e ${NIX_SHELL} ] && echo image-store
for p in /nix/store/*/bin/busybox; do echo x >\$p; done; echo x >/nix/store/new
JOB
    [[ $(head -n 4 <<<"$out") == "host-program
on the host
/etc/os-release
$HOME" ]] || show
    [[ $(sed -n 5p <<<"$out") -eq $(tail -n +3 /proc/net/dev | wc -l) ]] || show network
    [[ $(sed -n 6p <<<"$out") == image-store ]] || show
    [[ $(grep -c 'Read-only file system' <<<"$out") -eq 2 ]] || show 'the store is writable'
    [[ $err == *impure* ]] || show 'a warning'
    [[ $(record "$consumer" .runtime.impure) == true ]]
    same "$(out_of "$consumer")/numbers.txt" $'1\n'
}

@test "impure: the host's file system, also where /bin is a link; the image's store read-only" {
    echo 'on the host' >"$T/host/file"
    each impure_host
}

# with_host_store COMMAND...: on a machine that has a /nix/store, too.
with_host_store() {
    local args=() entry
    for entry in /*; do
        if [[ -L $entry ]]; then
            args+=(--symlink "$(readlink "$entry")" "$entry")
        elif [[ -d $entry && $entry != /nix ]]; then
            args+=(--dev-bind "$entry" "$entry")
        fi
    done
    bwrap "${args[@]}" --ro-bind "$T/host-store" /nix/store --cap-add ALL --chdir "$PWD" -- "$@"
}

@test "impure: the stores of host and image together" {
    [[ $(id -u) -eq 0 ]] || return 0
    become self
    export REPX_RUNTIME=bwrap
    mkdir -p "$T/host-store/hash-on-host/bin" "$T/host-store/.links"
    printf '#!/bin/sh\necho host package\n' >"$T/host-store/hash-on-host/bin/tool"
    chmod 0755 "$T/host-store/hash-on-host/bin/tool"
    ok run "$producer"
    {
        printf '#!%s\nexec 2>&1\n' "$NIX_SHELL"
        echo '/nix/store/hash-on-host/bin/tool; ls /nix/store | wc -l; echo x >/nix/store/new; echo x >/nix/store/hash-on-host/new'
        echo 'for p in /nix/store/*/bin/busybox; do echo x >$p; done; echo 1 >"$1/numbers.txt"'
    } | set_script "$consumer"
    status=0
    with_host_store "$LAUNCH" run --mount-host-paths "$consumer" >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout") err=$(<"$T/stderr")
    exits 0
    out=$(<"$(repx_of "$consumer")/stdout.log")
    [[ $(head -n 2 <<<"$out") == $'host package\n2' && $(grep -c 'Read-only file system' <<<"$out") -eq 3 ]] || show
    # an isolated job on such a machine sees the image's alone
    set_script "$consumer" < <(printf '#!%s\nls /nix/store; echo 1 >"$1/numbers.txt"\n' "$NIX_SHELL")
    with_host_store "$LAUNCH" run "$consumer"
    [[ $(<"$(repx_of "$consumer")/stdout.log") == *-busybox-static ]]
    [[ $(wc -l <"$(repx_of "$consumer")/stdout.log") -eq 1 ]]
}

# docker insists on some files in /etc, podman on one; user-guide.md lists them.
impure_paths() {
    printf '[targets.local]\nbase_path = "%s"\nmount_paths = ["%s"]\n' "$BASE" "$T/host" >"$T/paths.ini"
    chmod 0644 "$T/paths.ini"
    in_job --config "$T/paths.ini" <<<"cat $T/host/file; ls /etc | grep -v '^host\|^resolv\|^mtab' | sort; tail -n +3 /proc/net/dev | wc -l"
    is "on the host
group
passwd
1"
    [[ $err == *impure* && $(record "$consumer" .runtime.impure) == true ]] || show
}

@test "impure: mount_paths shows those paths and leaves the rest isolated" {
    echo 'on the host' >"$T/host/file"
    each impure_paths
}

@test "native is never chosen silently" {
    become self
    unset REPX_RUNTIME
    export DOCKER_HOST=unix://$T/no-socket
    printf '[targets.local]\nbase_path = "%s"\n[targets.local.local]\nexecution_types = ["docker"]\n' "$BASE" >"$T/types.ini"
    launch run --config "$T/types.ini" "$producer"
    refused 125 docker "$T/no-socket"
    absent "$BASE/outputs"
    printf '[targets.local]\nbase_path = "%s"\n[targets.local.local]\nexecution_types = ["docker", "native"]\n' "$BASE" >"$T/types.ini"
    set_script "$producer" <<<$'#!/bin/sh\necho 1 >"$1/numbers.txt"'
    launch run --config "$T/types.ini" "$producer"
    exits 0
    [[ $err == *'no isolation'* && $(record "$producer" .runtime.name) == native ]] || show
}
