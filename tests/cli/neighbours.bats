#!/usr/bin/env bats
# Other users of the node, real ones: what they put where a store is to be, what they can
# change or read, and parents that they swap. Each is refused with the reason.

# shellcheck disable=SC2154 # out and err: of helpers.bash
load ../helpers

ALICE=61001 MALLORY=61002

setup_file() {
    FILES=$(scratch)
    export FILES
    "$IMAGES" "$FILES/images"
    # where other users can reach them, whatever the way to the build directory is
    mkdir "$FILES/bin"
    cp "$BUILD/src/repx-launch" "$FILES/bin"
    chmod -R a+rX "$FILES"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    LAUNCH=$FILES/bin/repx-launch
    image=$FILES/images/docker-dir
    # like /tmp
    mkdir "$T/node"
    chmod 1777 "$T/node"
    install -d -m 0700 -o $ALICE -g $ALICE "$T/alice"
    install -d -m 0700 -o $MALLORY -g $MALLORY "$T/mallory"
    place=$T/node/alice
}

teardown() {
    test_end
}

# as UID COMMAND...: without any right of root's.
as() {
    local uid=$1
    shift
    setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME="$T/alice" \
        REPX_BASE_PATH="$T/alice/base" REPX_NODE_LOCAL_PATH="$place" "$@"
}

# alice ARGUMENT...: her launcher; sets status, out and err.
alice() {
    status=0
    as $ALICE timeout 60 "$LAUNCH" "$@" </dev/null >"$T/stdout" 2>"$T/stderr" || status=$?
    out=$(<"$T/stdout")
    err=$(<"$T/stderr")
}

# distrusted TEXT...: she is told why, and nothing of hers lies anywhere but at home.
distrusted() {
    alice image prepare "$image"
    refused 125 "the node-local store" "$@"
    [[ -z $(find "$T/node" "$T/mallory" -user $ALICE) ]] || { find "$T/node" "$T/mallory" -ls; return 1; }
}

works() {
    alice image prepare "$image"
    exits 0
}

@test "what a neighbour has made at the store's place is refused, whatever it is" {
    as $MALLORY mkdir -m 0700 "$place"
    distrusted "$place" 'was made by another user' 'configure a path'
    as $MALLORY chmod 0777 "$place"
    distrusted "$place" 'was made by another user'
    as $MALLORY rmdir "$place"
    as $MALLORY ln -s "$T/mallory" "$place"
    distrusted "$place" 'was made by another user'
    as $MALLORY ln -sfn "$T/alice" "$place"
    distrusted "$place" 'was made by another user'
    as $MALLORY ln -sfn /no/such "$place"
    distrusted "$place" 'was made by another user'
    as $MALLORY rm "$place"
    as $MALLORY mkfifo "$place"
    distrusted "$place" 'cannot be entered'
    as $MALLORY rm "$place"
    as $MALLORY touch "$place"
    distrusted "$place" 'cannot be entered'
    as $MALLORY rm "$place"
    as $MALLORY python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$place"
    distrusted "$place" 'cannot be entered'
    rm "$place"
    # a hard link to a file of her own, as a kernel without protected_hardlinks lets him
    as $ALICE touch "$T/alice/file"
    ln "$T/alice/file" "$place"
    alice image prepare "$image"
    refused 125 "$place" 'cannot be entered'
    rm "$place"
    works
}

@test "a directory of hers below one of his, or of one that others may write to" {
    as $MALLORY mkdir -m 0755 "$T/node/his"
    place=$T/node/his/alice
    distrusted "$T/node/his" 'was made by another user'
    chown $MALLORY "$T/mallory"
    chmod 0755 "$T/mallory"
    install -d -m 0700 -o $ALICE "$T/mallory/alice"
    place=$T/mallory/alice
    alice image prepare "$image"
    refused 125 "$T/mallory" 'belongs to another user'
    [[ -z $(ls -A "$T/mallory/alice") ]]
    rmdir "$T/mallory/alice"
    # without the sticky bit everybody can swap what is in it
    place=$T/node/alice
    chmod 0777 "$T/node"
    distrusted "$T/node" 'can be written to by others' 'chmod go-w'
    chmod 0775 "$T/node"
    distrusted "$T/node" 'can be written to by others'
    chmod 1777 "$T/node"
    works
    # her own, opened to all by mistake
    as $ALICE chmod 0777 "$place"
    alice image prepare "$image"
    refused 125 "$place" 'can be written to by others'
    as $ALICE chmod 0770 "$place/repx"
    as $ALICE chmod 0700 "$place"
    alice image prepare "$image"
    refused 125 "$place/repx" 'can be written to by others'
    as $ALICE chmod 0700 "$place/repx"
    works
}

@test "an ACL that lets a neighbour write counts as writable" {
    works
    # user::rwx user:MALLORY:rwx group::--- mask::rwx other::---
    python3 - "$place" $MALLORY <<'PYTHON' || skip "this file system has no ACLs"
import os, struct, sys
acl = struct.pack("<I", 2)
for tag, perm, who in (1, 7, -1), (2, 7, int(sys.argv[2])), (4, 0, -1), (16, 7, -1), (32, 0, -1):
    acl += struct.pack("<HHi", tag, perm, who)
os.setxattr(sys.argv[1], "system.posix_acl_access", acl)
PYTHON
    alice image prepare "$image"
    refused 125 "$place" 'can be written to by others'
}

@test "inside a store: parts and locks that are not hers, or not what they must be" {
    local store=$place/repx/store-v1 part lock
    works
    for part in layers rootfs locks refs tmp; do
        chown $MALLORY "$store/$part"
        alice image prepare "$image"
        refused 125 "$store/$part" 'Permission denied'
        chmod 0755 "$store/$part"
        alice image prepare "$image"
        refused 125 "$store/$part" 'does not belong to you alone'
        chmod 0700 "$store/$part"
        chown $ALICE "$store/$part"
        chmod o+w "$store/$part"
        alice image prepare "$image"
        refused 125 "$store/$part" 'does not belong to you alone'
        chmod o-w "$store/$part"
    done
    mv "$store/refs" "$T/alice/refs"
    ln -s "$T/alice/refs" "$store/refs"
    chown -h $ALICE "$store/refs"
    alice image prepare "$image"
    refused 125 refs
    rm "$store/refs"
    mv "$T/alice/refs" "$store/refs"
    lock=$(echo "$store"/locks/rootfs-*.use)
    rm "$lock"
    ln -s "$T/alice/victim" "$lock"
    alice image prepare "$image"
    refused 125 "${lock##*/}" 'symbolic link'
    absent "$T/alice/victim"
    rm "$lock"
    mkfifo -m 0666 "$lock"
    alice image prepare "$image"
    refused 125 "${lock##*/}" 'not a regular file'
    rm "$lock"
    works
}

@test "entries that are no directories, records that are no files" {
    local store=$place/repx/store-v1 entry
    works
    entry=$(echo "$store"/rootfs/*)
    rm "$entry/record.json"
    mkfifo -m 0666 "$entry/record.json"
    works
    rm -r "$entry"
    ln -s "$T/alice" "$entry"
    touch "$T/alice/precious"
    works
    exists "$T/alice/precious"
    alice cache verify
    exits 0
    rm -r "$store"/layers/*
    mkfifo "$store/layers/$(printf '0%.0s' {1..64})"
    alice cache prune --all
    exits 0
    works
}

@test "a parent that a neighbour swaps all the time is never believed" {
    local round deadline=$((SECONDS + 30))
    as $MALLORY mkdir -m 0755 "$T/node/swap" "$T/node/other"
    as $MALLORY ln -s "$T/alice" "$T/node/link"
    cat >"$T/swap.py" <<'PYTHON'
# Three names in turn: his directory, a link to hers, another directory of his.
# It ends with the test, however that ends: the shell that started it is its parent.
import ctypes, os, sys
libc = ctypes.CDLL(None)
node = sys.argv[1].encode()
parent = os.getppid()
print(os.getpid(), flush=True)
while os.getppid() == parent:
    for other in (b"/link", b"/other"):
        libc.renameat2(-100, node + b"/swap", -100, node + other, 2)
PYTHON
    as $MALLORY python3 "$T/swap.py" "$T/node" >"$T/ready" 3>&- &
    await test -s "$T/ready"
    place=$T/node/swap
    for ((round = 0; round < 60 && SECONDS < deadline; round++)); do
        alice image prepare "$image"
        refused 125 "$T/node/swap" 'was made by another user'
    done
    kill -KILL "$(<"$T/ready")"
    wait $! || true
    [[ -z $(find "$T/node" -user $ALICE) && -z $(find "$T/alice" -name repx) ]]
    [[ $round -ge 5 ]]
}

@test "neighbours cannot read a private store, also one that was open before" {
    works
    refute as $MALLORY ls "$place/repx/store-v1"
    as $ALICE chmod -R go+rX "$place"
    as $MALLORY ls "$place/repx/store-v1/layers" >/dev/null
    works
    refute as $MALLORY ls "$place/repx/store-v1"
    umask 0
    as $ALICE rm -rf "$place"
    works
    refute as $MALLORY ls "$place/repx/store-v1"
    [[ $(stat -c %a "$place") == 700 ]]
}

@test "an ordinary user's clean-up: directories of mode 0555 and 0000 with what is in them" {
    local closed=$T/closed.tar store=$place/repx/store-v1 left
    python3 - "$closed" <<'PYTHON'
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w") as out:
    for name, mode in (("ro", 0o555), ("ro/none", 0), ("ro/none/deep", 0o555)):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        out.addfile(info)
        info = tarfile.TarInfo(name + "/file")
        info.size = 1
        out.addfile(info, io.BytesIO(b"x"))
PYTHON
    alice image prepare "$closed"
    exits 0
    # what a job's uid may have done to it, and an extraction that died half-way
    left=$store/tmp/gone-1-0123456789abcdef
    as $ALICE mkdir -p "$left/root/none/deep"
    as $ALICE touch "$left/root/none/deep/file"
    as $ALICE chmod 0000 "$left/root/none/deep" "$left/root/none"
    as $ALICE find "$store/layers" -mindepth 3 -depth -type d -exec chmod 0000 {} +
    alice image prepare "$image"
    exits 0
    [[ ! -e $left ]] || show "the leftover is still there"
    alice cache prune --all
    exits 0
    [[ -z $(find "$store/layers" "$store/rootfs" "$store/tmp" -mindepth 1) ]] || show "not removed"
}
