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
