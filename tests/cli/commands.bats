#!/usr/bin/env bats
# The other commands: list, plan, debug-run, config, cache, image, version, help.

load ../helpers

setup_file() {
    FILES=$(scratch)
    export FILES
    "$MAKE_LAB" --image unified --sweep 2 --probe "$FILES/sim-lab" >/dev/null
    "$IMAGES" "$FILES/images"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    use_lab "$FILES/sim-lab"
    producer=$(job stage-A 0) consumer=$(job stage-B 0)
}

teardown() {
    test_end
}

@test "list: the runs, their jobs and how they stand" {
    ok list
    [[ $(head -n 1 <<<"$out") == "run sim: 4 jobs, images/$(basename "$LAB"/images/*)" ]] || show
    [[ $(tail -n +2 <<<"$out" | sort) == "$(jobs_of_run | sed 's/^/  not run    /' | sort)" ]] || show
    absent "$BASE/outputs"
    ok run "$producer"
    : >"$T/empty"
    ok list sim
    [[ $out == *"  succeeded  $producer"* && $out == *"  not run    $consumer"* ]] || show
    touch "$(repx_of "$producer")/FAIL"
    rm "$(repx_of "$producer")/SUCCESS"
    ok list
    [[ $out == *"  failed     $producer"* ]] || show
    launch list nosuchrun
    refused 125 nosuchrun
}

@test "list --json" {
    ok run "$producer"
    ok list --json
    [[ $(jq -r .lab <<<"$out") == "$LAB" && $(jq -r .lab_id <<<"$out") == sim ]]
    [[ $(jq -r '.runs[].name' <<<"$out") == sim ]]
    [[ $(jq -r '.runs[0].jobs[]' <<<"$out" | sort) == "$(jobs_of_run)" ]]
    [[ $(jq -r --arg id "$producer" '.jobs[] | select(.id == $id) | "\(.name) \(.run) \(.type) \(.state) \(.deps)"' <<<"$out") == \
        'stage-A-producer-1.1 sim simple succeeded []' ]] || show
    [[ $(jq -c --arg id "$consumer" '.jobs[] | select(.id == $id) | .deps' <<<"$out") == "[\"$producer\"]" ]]
}

@test "list: scatter-gather, several runs, what comes after what" {
    make_lab "$T/more-lab" --image unified --sweep 1 --scatter --inter-run
    ok list
    [[ $out == *'scatter-gather'* && $out == *'run analysis: 1 jobs'*', after sim'* ]] || show
    ok list analysis
    [[ $out != *stage-A* ]] || show
}

@test "plan --json: valid, stable, and nothing is run" {
    ok run "$producer"
    ok plan "$consumer" --json
    first=$out
    [[ $(jq -r '.runtime, .cwd, .network, .impure, .interactive' <<<"$out") == \
        "bwrap"$'\n'"$(out_of "$consumer")"$'\nnone\nfalse\nfalse' ]] || show
    [[ $(jq -r '.argv | join(" ")' <<<"$out") == \
        "$(script "$consumer") $(out_of "$consumer") $(repx_of "$consumer")/inputs.json $(repx_of "$consumer")/parameters.json" ]]
    [[ $(jq -r --arg d "$(out_of "$producer")/numbers.txt" '.mounts[] | select(.dest == $d) | .kind, .role' <<<"$out") == $'bind-ro\ninput' ]] || show
    ok plan "$consumer" --json
    prints "$first"
    absent "$BASE/outputs/$consumer"
    # what is then run is what was planned
    ok run "$consumer"
    [[ $(jq -S '[.mounts[] | {kind, role, dest}]' <<<"$first") == "$(record "$consumer" '[.mounts[] | {kind, role, dest}]' | jq -S .)" ]]
    [[ $(jq -S '.environment | if type == "array" then map(sub("=.*"; "")) else keys end' <<<"$first") == \
        "$(record "$consumer" .environment | jq -S .)" ]]
}

@test "plan: text for people" {
    ok run "$producer"
    ok plan "$consumer"
    [[ $out == 'runtime   bwrap'* && $out == *"cwd       $(out_of "$consumer")"* ]] || show
    [[ $out == *$'\nmounts\n'* && $out == *$'\nenvironment\n'*'HOME=/tmp'* && $out == *$'\ncommand\n  '"$(script "$consumer") "* ]] || show
    launch plan
    refused 2 'JOB is missing'
    launch plan "$producer" "$consumer"
    refused 2 "$consumer"
}

@test "debug-run -- CMD: environment, mounts and identity of the job itself" {
    local file
    ok run sim
    for file in env mountinfo id hostname cwd fds rootls tmpls inputs.json parameters.json; do
        cp "$(out_of "$consumer")/probe.$file" "$T/"
    done
    ok debug-run "$consumer" -- /bin/env
    [[ $(grep -v '^\(_\|SHLVL\|OLDPWD\)=' <<<"$out" | sort) == \
        "$(grep -v '^\(_\|SHLVL\|OLDPWD\|out\|inputs_json\|parameters_json\)=' "$T/probe.env")" ]] || diff <(sort <<<"$out") "$T/probe.env"
    ok debug-run "$consumer" -- /bin/cat /proc/self/mountinfo
    [[ $(cut -d' ' -f5,6 <<<"$out") == "$(cut -d' ' -f5,6 "$T/probe.mountinfo")" ]] || show
    ok debug-run "$consumer" -- /bin/id
    [[ $out == "$(<"$T/probe.id")" ]] || show
    ok debug-run "$consumer" -- /bin/hostname
    [[ $out == "$(<"$T/probe.hostname")" ]] || show
    ok debug-run "$consumer" -- /bin/pwd
    [[ $out == "$(<"$T/probe.cwd")" && -n $out ]] || show "$(<"$T/probe.cwd")"
    ok debug-run "$consumer" -- /bin/sh -c 'cat ../repx/inputs.json ../repx/parameters.json'
    [[ $out == "$(cat "$T/probe.inputs.json" "$T/probe.parameters.json")" ]] || show
}

@test "debug-run: exit codes, input, no markers and no logs" {
    local before
    launch debug-run "$producer" -- /bin/sh -c 'exit 42'
    exits 42
    launch debug-run "$producer" -- nosuchprogram
    exits 127
    echo 'from outside' >"$T/input"
    STDIN=$T/input ok debug-run "$producer" -- /bin/cat
    prints 'from outside'
    absent "$(repx_of "$producer")"/{SUCCESS,FAIL,stdout.log,launch.json} "$BASE/outputs/completions.jsonl"
    launch debug-run "$consumer" -- /bin/true
    refused 125 "$producer" 'has not run'
    # a shell that reads its commands from a pipe
    echo 'echo "shell $((6 * 7)) $PWD"' >"$T/input"
    STDIN=$T/input ok debug-run "$producer"
    prints "shell 42 $(out_of "$producer")"
}

# on_terminal ARGUMENT... -- WAIT SEND...: the launcher on a terminal of its own; whenever
# it has shown the text WAIT, the text SEND is typed. Sets status and out.
on_terminal() {
    status=0
    out=$(python3 - "$LAUNCH" "$@" <<'PY'
import os, pty, select, signal, sys, time
args = sys.argv[1:]
at = args.index("--")
args, steps = args[:at], args[at + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(args[0], args)
seen, new, deadline = b"", b"", time.time() + 20
while time.time() < deadline:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        seen, new = seen + data, new + data
    if steps and steps[0].encode() in new:
        os.write(fd, steps[1].encode())
        steps, new = steps[2:], b""
else:
    print("no end: waiting for", steps)
    os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen.replace(b"\r", b""))
sys.stdout.flush()
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(code if code >= 0 else 128 - code)
PY
    ) || status=$?
}

@test "debug-run: an interactive shell on the terminal" {
    TERM=vt100 on_terminal debug-run "$producer" -- /out $'tty; echo "$TERM <$((6*7))> $PWD"; exit 7\n'
    exits 7
    [[ $out == *"vt100 <42> $(out_of "$producer")"* && $out != *'not a tty'* ]] || show
}

# It is the foreground command itself that says when it runs: before, the shell gets the
# signal.
@test "debug-run: Ctrl-C reaches the command and not the launcher" {
    on_terminal debug-run "$producer" -- /out \
        $'sh -c "echo begin$((1+1)); exec sleep 100"\n' begin2 $'\x03' /out $'echo after$((1+1)); exit 3\n'
    exits 3
    [[ $out == *after2* ]] || show
    none_left
}

@test "debug-run: a shell is brought to an image without one" {
    cp -a "$LAB" "$T/sim-lab"
    use_lab "$T/sim-lab"
    image=images/$(basename "$LAB"/images/*)
    rm -r "${LAB:?}/$image"
    cp -a "$FILES/images/bare-dir" "$LAB/$image"
    reseal
    # a static shell among the host-tools; the lab's bash may need libraries of the host
    tools=$(echo "$LAB"/host-tools/*/bin)
    rm -f "$tools/bash"
    cp "$FILES/images/bare-dir/busybox" "$tools/busybox"
    echo 'echo "brought $((6 * 7))"; ls -d /bin /usr 2>/dev/null; true' >"$T/input"
    STDIN=$T/input launch debug-run "$producer" --no-verify-lab
    exits 0
    prints 'brought 42'
}

@test "config: each value with its origin" {
    unset REPX_NODE_LOCAL_PATH
    mkdir -p "$XDG_CONFIG_HOME/repx"
    cat >"$XDG_CONFIG_HOME/repx/config.toml" <<CONFIG
submission_target = "cluster"
[targets.cluster]
base_path = "$T/from-file"
node_local_path = "$T/nodes/%u"
mount_paths = ["$T"]
[targets.cluster.slurm]
execution_types = ["podman", "bwrap"]
CONFIG
    ok config
    [[ $out == "# read: $XDG_CONFIG_HOME/repx/config.toml"* ]] || show
    grep -q "^base_path = $BASE  # .*REPX_BASE_PATH" <<<"$out" || show
    grep -q "^node_local_path = $T/nodes/$(id -un)  # $XDG_CONFIG_HOME/repx/config.toml:4" <<<"$out" || show
    grep -q "^target = cluster  # $XDG_CONFIG_HOME/repx/config.toml:1" <<<"$out" || show
    grep -q "^runtimes = podman, bwrap  # $XDG_CONFIG_HOME/repx/config.toml:7" <<<"$out" || show
    ok config --base-path "$T/option" --native --json
    [[ $(jq -r '.values.base_path.value' <<<"$out") == "$T/option" ]]
    [[ $(jq -r '.values.base_path.origin' <<<"$out") == *--base-path* ]]
    [[ $(jq -r '.values.runtimes.value' <<<"$out") == native ]]
    [[ $(jq -r '.files[]' <<<"$out") == "$XDG_CONFIG_HOME/repx/config.toml" ]]
    unset REPX_BASE_PATH
    ok config
    grep -q "^base_path = $T/from-file  # $XDG_CONFIG_HOME/repx/config.toml:3" <<<"$out" || show
    rm "$XDG_CONFIG_HOME/repx/config.toml"
    ok config
    grep -q "^base_path = $HOME/.repx/store  # built-in" <<<"$out" || show
    [[ $out == '# no configuration file was found'* || -e /etc/repx/repx.ini ]] || show
}

@test "config: the file as the contract prints it loads" {
    unset REPX_BASE_PATH REPX_NODE_LOCAL_PATH
    cat >"$T/config.toml" <<'CONFIG'
submission_target = "local"
[targets.local]
base_path = "/home/user/.repx/store"
[targets.local.local]
execution_types = ["bwrap", "native"]
[targets.cluster]
base_path = "/scratch/user/repx"
node_local_path = "/tmp/user/repx"
default_scheduler = "slurm"
mount_host_paths = false
mount_paths = ["/home/user/data", "/opt/tools"]
[targets.cluster.slurm]
execution_types = ["podman", "native"]
CONFIG
    ok config --config "$T/config.toml" --json
    [[ $(jq -r '.values | .base_path.value, .runtimes.value' <<<"$out") == $'/home/user/.repx/store\nbwrap, native' ]] || show
    ok config --config "$T/config.toml" --target cluster --json
    [[ $(jq -r '.values | .base_path.value, .node_local_path.value, .runtimes.value' <<<"$out") == \
        $'/scratch/user/repx\n/tmp/user/repx\npodman, native' ]] || show
}

@test "cache list: what was prepared, text and --json" {
    ok cache list
    [[ $out == 'no images in '* ]] || show
    ok image prepare "$FILES/images/oci.tar"
    [[ -x $out/bin/busybox ]]
    ok cache list
    [[ $out == ID*LAYERS*sha256:*"$FILES/images/oci.tar"* && $(wc -l <<<"$out") -eq 2 ]] || show
    ok cache list --json
    [[ $(jq 'length' <<<"$out") == 1 && $(jq '.[0].layers' <<<"$out") == 3 && $(jq '.[0].in_use' <<<"$out") == false ]] || show
    launch cache list more
    refused 2
    launch cache
    refused 2 'cache list'
}

@test "cache list: in use while a job has it" {
    mkfifo "$T/fifo"
    "$LAUNCH" exec --image "$FILES/images/oci.tar" -- /bin/cat <"$T/fifo" >"$T/cat.out" 2>&1 3>&- &
    exec {hold}>"$T/fifo"
    echo started >&"$hold"
    await grep -q started "$T/cat.out"
    ok cache list --json
    exec {hold}>&-
    wait %1
    [[ $(jq '.[0].in_use' <<<"$out") == true ]] || show
}

@test "image inspect: kind, digests, layers, command" {
    ok image inspect "$FILES/images/docker-dir" --json
    [[ $(jq -r '.kind, (.layers | length), (.entrypoint | join(" ")), (.cmd | join(" ")), .workdir, .os' <<<"$out") == \
        $'docker-dir\n3\n/run.sh\none two\n/data\nlinux' ]] || show
    [[ $(jq -r .config <<<"$out") == sha256:$(sha256sum "$FILES"/images/docker-dir/*.json | grep -v manifest | cut -c1-64) ]]
    id=$(jq -r .id <<<"$out")
    for image in docker.tar oci.tar oci-gzip docker-xz.tar; do
        ok image inspect "$FILES/images/$image" --json
        [[ $(jq -r .id <<<"$out") == "$id" || $image == *gzip* || $image == docker-* ]] || show "$image"
    done
    ok image inspect "$FILES/images/oci.tar"
    [[ $out == *'kind: oci-archive'* && $out == *'entrypoint: /run.sh'* && $out == *'layers: 3'* ]] || show
    ok image inspect "$(basename "$LAB"/images/*)"
    [[ $out == *"kind: docker-dir"* ]] || show
    ok image inspect "$FILES/images/rootfs-dir"
    [[ $out == *'kind: rootfs-dir'* ]] || show
    launch image inspect
    refused 2 IMAGE
    launch image
    refused 2 'image inspect' 'image prepare'
}

@test "doctor: each check, text and --json, and what a broken node says" {
    ok doctor
    [[ $out == *'ok    kernel         Linux '* && $out == *'ok    bwrap '*"$(bwrap --version)"* && $out == *"$BASE"* ]] || show
    ok doctor --json
    [[ $(jq -r '.[] | select(.check == "kernel") | .result' <<<"$out") == ok ]]
    [[ $(jq -r '[.[].result] | index("fail")' <<<"$out") == null ]] || show
    : >"$T/file"
    launch doctor --node-local-path "$T/file"
    exits 1
    [[ $out == *'fail  '*"$T/file"* ]] || show
    DOCKER_HOST=unix://$T/no-socket launch doctor --runtime docker
    exits 1
    [[ $out == *'fail  runtimes       docker: none of them works'* ]] || show
}

# on_a_node SUBIDS NEWUIDMAP CGROUP: doctor for nobody, where the files of subordinate ids are
# SUBIDS, newuidmap is that file, and a file system of type CGROUP is at /sys/fs/cgroup.
on_a_node() {
    # shellcheck disable=SC2016 # for the shell in the namespace
    run unshare --mount sh -euc '
        for file in /etc/subuid /etc/subgid; do mount --bind "$2" "$file"; done
        mount --bind "$3" "$(command -v newuidmap)"
        mount -t "$4" none /sys/fs/cgroup
        exec setpriv --reuid 65534 --regid 65534 --clear-groups \
            "$1/repx-launch" doctor --json --base-path "$1/base" --node-local-path "$1/local" --runtime podman' sh "$T/node" "$@"
    rows=$output
}

# row CHECK: its result and text.
row() {
    jq -r --arg check "$1" '.[] | select(.check == $check) | .result + " " + .text' <<<"$rows"
}

@test "doctor: what podman needs of a node and of a user, each with a remedy" {
    chmod 0755 "$T"
    mkdir "$T/node"
    cp "$LAUNCH" "$BUILD/src/repx-sandbox-init" "$BUILD/src/repx-podman-hook" "$T/node"
    chown -R 65534:65534 "$T/node"
    : >"$T/none"
    echo 'nobody:200000:1000' >"$T/few"
    echo 'nobody:200000:65536' >"$T/enough"
    cp /bin/true "$T/plain"
    on_a_node "$T/none" "$T/plain" tmpfs
    [[ $(row podman-ids) == 'note /etc/subuid has no range of 65536 ids for nobody; as root: usermod --add-subuids '* ]] || show "$rows"
    [[ $(row podman-map) == "note newuidmap has neither the set-user-ID bit nor a capability; install the package 'uidmap' again" ]] || show "$rows"
    [[ $(row podman-cgroup) == 'note crun needs the pure cgroup v2 layout; boot with '* ]] || show "$rows"
    on_a_node "$T/few" "$T/plain" tmpfs
    [[ $(row podman-ids) == note\ * ]] || show "$rows"
    on_a_node "$T/enough" "$(command -v newuidmap)" cgroup2
    [[ $(row podman-ids) == 'ok ranges in /etc/subuid and /etc/subgid' ]] || show "$rows"
    [[ $(row podman-map) == "ok $(command -v newuidmap)" ]] || show "$rows"
    [[ $(row podman-cgroup) == 'ok pure cgroup v2' ]] || show "$rows"
    [[ $(row podman-dirs) == "ok storage (vfs) in $T/node/local/"* ]] || show "$rows"
}

@test "version, in three ways" {
    ok version
    [[ $out =~ ^repx-launch\ [0-9]+\.[0-9]+\.[0-9]+ ]] || show
    text=$out
    ok --version
    prints "$text"
    ok version --json
    [[ "repx-launch $(jq -r .version <<<"$out")" == "$text" ]]
}

@test "help: an overview and one for each command, 80 columns, no line of it empty of sense" {
    local command
    ok --help
    overview=$out
    for command in run exec debug-run plan list 'image inspect' 'image prepare' 'cache list' config doctor version; do
        [[ $overview == *"$command"* ]] || show "$command is not in the overview"
        # shellcheck disable=SC2086 # two words
        ok $command --help
        [[ $out == "Usage: repx-launch $command "* && -z $err ]] || show "$command"
        [[ $(awk 'length > 79' <<<"$out") == '' ]] || show "too wide: $command"
        [[ $out == *--help* ]] || show
    done
    [[ $(awk 'length > 79' <<<"$overview") == '' ]] || show 'too wide'
    ok help
    prints "$overview"
    for command in 'help image' 'image --help' 'image -h'; do
        # shellcheck disable=SC2086 # two words
        ok $command
        [[ $out == *"image inspect "*"image prepare "* && $out != *"cache list"* && -z $err ]] || show "$command"
    done
    ok run --help
    for option in --lab --runtime --bwrap --native --target --config --base-path --node-local-path --mount-host-paths --mount-path \
        --network --env --workdir --jobs --rerun --grace --verbose --quiet; do
        [[ $out == *"$option"* ]] || show "$option"
    done
}

@test "-q says nothing, -v more; NO_COLOR and a pipe: no colour" {
    ok run "$producer" -q
    [[ -z $err ]] || show
    ok run "$producer" -v
    [[ $err == *phases:* && $err == *bwrap* && $err != *$'\033'* ]] || show
}

@test "a full disk behind standard output is an error" {
    status=0
    "$LAUNCH" list >/dev/full 2>"$T/stderr" || status=$?
    [[ $status -eq 125 && $(<"$T/stderr") == *'standard output'* ]]
}
