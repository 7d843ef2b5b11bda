# common.bash: what every script here needs. Sourced, never run.
# shellcheck shell=bash

readonly PROGRAM=${0##*/}

say() {
    printf '%s: %s\n' "$PROGRAM" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

need_root() {
    [[ $EUID -eq 0 ]] || die "needs root for $1; run it with sudo"
}

# usage_of FILE: the comment block at the top of a script, without its marks.
usage_of() {
    awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$1"
}

# wait_until SECONDS COMMAND...: true as soon as COMMAND is, false after SECONDS.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

attended=''

# attend COMMAND...: runs it in a process group of its own, so that a signal to this script
# can end it at once (end_attended, in a trap) instead of after it.
attend() {
    local status=0
    set -m
    "$@" </dev/null &
    attended=$!
    set +m
    wait "$attended" || status=$?
    attended=''
    return "$status"
}

# end_attended: ends what attend runs, if anything, and waits for it.
end_attended() {
    [[ -n $attended ]] || return 0
    kill -TERM -- "-$attended" 2>/dev/null || true
    wait "$attended" 2>/dev/null || true
}
