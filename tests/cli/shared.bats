#!/usr/bin/env bats
# The site's store: root fills it, every user's launch looks there first. Two users who are
# not root, a site configuration in a mount namespace of its own.

# shellcheck disable=SC2154 # out and err: of helpers.bash
load ../helpers

setup_file() {
    FILES=$(scratch)
    chmod 0755 "$FILES"
    export FILES
    "$IMAGES" "$FILES/images"
    mkdir "$FILES/bin"
    # where other users can reach them, whatever the way to the build directory is
    cp "$BUILD/src/repx-launch" "$(dirname "$(find "$BUILD" -name repx-sandbox-init -type f)")/repx-sandbox-init" "$FILES/bin"
    mkdir -p "$FILES/etc/repx"
    cp -a /etc/nsswitch.conf /etc/ld.so.cache /etc/ld.so.conf* /etc/alternatives "$FILES/etc" 2>/dev/null || true
    printf '%s\n' root:x:0:0::/root:/bin/sh alice:x:61001:61001::/tmp:/bin/sh bob:x:61002:61002::/tmp:/bin/sh >"$FILES/etc/passwd"
    printf '%s\n' root:x:0: alice:x:61001: bob:x:61002: >"$FILES/etc/group"
    chmod -R a+rX "$FILES"
}

teardown_file() {
    scratch_remove "$FILES"
}

setup() {
    test_begin
    install -d -m 0700 -o 61001 -g 61001 "$T/alice"
    install -d -m 0700 -o 61002 -g 61002 "$T/bob"
    SITE=$T/site
    cp -a "$FILES/etc" "$T/etc"
    mkdir "$SITE"
    printf '[policy]\nshared_store = "%s"\n' "$SITE" >"$T/etc/repx/repx.ini"
    # the functions below, for the shell in the namespace
    cat >"$T/lib" <<'LIB'
repx=$FILES/bin/repx-launch first=$FILES/images/docker-dir second=$FILES/images/rootfs.tar
S=$SITE/repx/store-v1
# as USER COMMAND...
as() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --clear-groups env HOME="$T/$user" \
        REPX_BASE_PATH="$T/$user/base" REPX_NODE_LOCAL_PATH="$T/$user/local" "$@"
}
# private USER: how many images the user's own store has
private() { find "$T/$1/local/repx/store-v1/rootfs" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }
# tells TEXT FILE
tells() { grep -q -- "$1" "$2" || { echo "not said: $1"; cat "$2"; exit 1; }; }
LIB
}

teardown() {
    test_end
}

# site COMMANDS: in bash, where the site's configuration is ours.
site() {
    T=$T FILES=$FILES SITE=$SITE unshare -m bash -euc 'mount --bind "$T/etc" /etc
        cd /
        . "$T/lib"
        '"$1"
}

@test "root prepares, every user's launch uses it and extracts nothing" {
    site '"$repx" image prepare --shared "$first" >"$T/path"
        "$repx" image prepare --shared "$second" --json >"$T/json"
        for user in alice bob; do
            for image in "$first" "$second"; do
                as $user "$repx" exec --image "$image" -- /bin/cat /data/keep >"$T/out"
                [[ $(<"$T/out") == keep ]]
                as $user "$repx" image prepare --json "$image" >"$T/user.json"
        jq -e ".extracted == false and .shared == true" "$T/user.json"
            done
            [[ $(private $user) -eq 0 ]]
        done'
    [[ $(<"$T/path") == "$SITE"/repx/store-v1/rootfs/*/root ]]
    jq -e '.extracted and .shared' "$T/json"
}

@test "what is not there is extracted into the user's own store" {
    site '"$repx" image prepare --shared "$first"
        as alice "$repx" image prepare --json "$second" >"$T/json"
        jq -e ".extracted and (.shared | not)" "$T/json"
        [[ $(private alice) -eq 1 ]]
        # nobody has prepared anything yet: not worth a word
        rm -r "$SITE"/*
        as alice "$repx" image prepare "$first" 2>"$T/err"
        [[ ! -s $T/err && $(private alice) -eq 2 ]]'
}

@test "everybody can read it and only root can write to it, whatever the image's modes are" {
    mkdir -p "$T/tree"/{secret,open,sticky}
    echo text >"$T/tree/secret/file"
    cp "$(type -P true)" "$T/tree/program"
    echo open >"$T/tree/open/file"
    chmod 0600 "$T/tree/secret/file"
    chmod 0700 "$T/tree/secret" "$T/tree/program"
    chmod 0666 "$T/tree/open/file"
    chmod 0777 "$T/tree/open"
    chmod 1777 "$T/tree/sticky"
    tar -C "$T/tree" -cf "$T/modes.tar" .
    site 'umask 077
        "$repx" image prepare --shared "$T/modes.tar"
        umask 022
        [[ -z $(find "$S" ! -type l -perm /022) ]] || { find "$S" ! -type l -perm /022 -ls; exit 1; }
        root=$(as bob "$repx" image prepare "$T/modes.tar")
        [[ $root == "$SITE"/* && $(as bob cat "$root/secret/file") == text ]]
        as bob "$root/program"
        as bob "$repx" cache list
        "$repx" cache verify --shared'
    # and what is not for users stays closed
    [[ $(stat -c %a "$SITE/repx/store-v1/tmp") == 700 ]]
    [[ -z $(find "$SITE/repx/store-v1/locks" -name '*.lock' -perm /077) ]]
}

@test "an image in use is not evicted; afterwards it is, and users extract themselves" {
    site '"$repx" image prepare --shared "$first"
        mkfifo -m 0666 "$T/fifo"
        as alice "$repx" exec --image "$first" -- /bin/cat <"$T/fifo" >"$T/cat" &
        exec 9>"$T/fifo"
        echo started >&9
        for ((i = 0; i < 1500; i++)); do ! grep -q started "$T/cat" || break; sleep 0.02; done
        "$repx" cache list --shared >"$T/list"
        "$repx" cache prune --shared --all >"$T/prune1"
        echo more >&9
        exec 9>&-
        wait $!
        "$repx" cache prune --shared --all >"$T/prune2"
        as alice "$repx" exec --image "$first" -- /bin/true
        [[ $(private alice) -eq 1 && -z $(ls -A "$S/rootfs" "$S/tmp" | grep -v :) ]]'
    grep -q 'in use: alice [0-9]' "$T/list" || { cat "$T/list"; false; }
    grep -q 'removed 0 images' "$T/prune1"
    grep -q 'removed 1 images' "$T/prune2"
    same "$T/cat" $'started\nmore\n'
}

@test "a user who sits on the lock costs others the sharing and root nothing" {
    site '"$repx" image prepare --shared "$first"
        use=$(echo "$S"/locks/*.use)
        mkfifo -m 0666 "$T/ready" "$T/end"
        as bob flock -x "$use" bash -c "echo >\"$T/ready\"; read -r <\"$T/end\"" &
        read -r <"$T/ready"
        as alice "$repx" exec --image "$first" -- /bin/true
        [[ $(private alice) -eq 1 ]]
        "$repx" image prepare --shared "$first"
        "$repx" cache prune --shared --all >"$T/prune"
        "$repx" cache list --shared >"$T/list"
        # nor can he take what is not for him
        ! as bob flock -n "$S/locks/evict.lock" true 2>/dev/null || exit 2
        echo >"$T/end"
        wait'
    grep -q 'removed 0 images' "$T/prune"
    grep -q 'in use: bob' "$T/list"
}

@test "a store that somebody else could have filled is not used, with the reason" {
    site '"$repx" image prepare --shared "$first"
        refused() {
            rm -rf "$T/alice/local"
            as alice "$repx" image prepare --json "$first" >"$T/json" 2>"$T/err"
            jq -e ".shared | not" "$T/json" >/dev/null || { echo "believed: $1"; exit 1; }
            tells "the site.s store is not used" "$T/err"
            tells "$1" "$T/err"
        }
        chmod g+w "$SITE"
        refused "$SITE. can be written to by others"
        chmod 1777 "$SITE/repx"; chmod g-w "$SITE"
        # the sticky bit does for a directory on the way
        as alice "$repx" image prepare --json "$first" | jq -e .shared
        chmod 0755 "$SITE/repx"
        chown 61002 "$SITE/repx"
        refused "belongs to another user"
        chown 0 "$SITE/repx"
        chmod 1777 "$S"
        refused "can be written to by others"
        chmod 0755 "$S"
        chown 61002 "$S/rootfs"
        refused "does not belong to root alone"
        chown 0 "$S/rootfs"
        mv "$SITE" "$SITE.real"
        ln -s "$SITE.real" "$SITE"
        chown -h 61002 "$SITE"
        refused "belongs to another user"
        chown -h 0 "$SITE"
        rm -rf "$T/alice/local"
        as alice "$repx" image prepare --json "$first" | jq -e .shared
        # root is as strict with itself
        chmod o+w "$SITE.real"
        ! "$repx" image prepare --shared "$second" 2>"$T/err" || exit 3
        tells "can be written to by others" "$T/err"'
}

@test "an entry that is half, or is not root's, is not there" {
    site '"$repx" image prepare --shared "$first"
        entry=$(echo "$S"/rootfs/*)
        missing() {
            rm -rf "$T/alice/local"
            as alice "$repx" image prepare --json "$first" | jq -e "(.shared | not) and .extracted" >/dev/null || { echo "believed: $1"; exit 1; }
        }
        mv "$entry/record.json" "$T/record"; missing record; mv "$T/record" "$entry/record.json"
        mv "$entry/root" "$T/root"; missing root
        install -d -o 61002 "$entry/root"; missing "root of bob"; rmdir "$entry/root"
        ln -s "$T/root" "$entry/root"; missing "link"; rm "$entry/root"
        mv "$T/root" "$entry/root"
        chown 61002 "$S"/locks/*.use; missing "lock of bob"; chown 0 "$S"/locks/*.use
        rm "$S"/locks/*.use; missing "no lock"
        # root makes it whole again
        rm "$entry/record.json"
        "$repx" image prepare --shared "$first"
        as bob "$repx" image prepare --json "$first" | jq -e .shared'
}

@test "who may fill it, and what doctor says" {
    site '! as alice "$repx" image prepare --shared "$first" 2>"$T/err" || exit 1
        tells "filled by root only" "$T/err"
        as alice "$repx" doctor >"$T/doctor1" || true
        "$repx" image prepare --shared "$first"
        as alice "$repx" doctor >"$T/doctor2" || true
        chmod o+w "$SITE"
        as alice "$repx" doctor >"$T/doctor3" || true
        chmod o-w "$SITE"
        "$repx" config | tee "$T/settled"
        printf "[policy]\n" >/etc/repx/repx.ini
        code=0
        "$repx" cache list --shared 2>"$T/err" || code=$?
        [[ $code -eq 2 ]]
        tells "set shared_store" "$T/err"
        printf "[policy]\nshared_store = \"~/x\"\n" >/etc/repx/repx.ini
        ! "$repx" cache list 2>"$T/err" || exit 1
        tells "must be an absolute path" "$T/err"
        printf "" >/etc/repx/repx.ini
        printf "[policy]\nshared_store = \"/x\"\n" >"$T/mine.ini"
        ! "$repx" cache list --config "$T/mine.ini" 2>"$T/err" || exit 1
        tells "counts only in the site file" "$T/err"'
    grep -q 'note  shared .*image prepare --shared' "$T/doctor1"
    grep -q 'ok    shared .*read-only' "$T/doctor2"
    grep -q 'note  shared .*can be written to by others' "$T/doctor3"
    grep -q "shared_store.*$SITE" "$T/settled"
}
