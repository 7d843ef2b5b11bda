# process.bash: which processes are ours, and how to end exactly those. Nothing here goes
# by name: a process is ours by a pid we recorded together with its start time, by the mark
# in its environment, by the mounts of its namespace, or by descent from one of these.
# shellcheck shell=bash

# The mark that every process started for the sandbox in DIR carries in its environment.
readonly OWNED=REPX_SANDBOX_OWNED

# process_start_time PID: the field of /proc/PID/stat that tells a reused pid; empty: gone
# or a zombie.
process_start_time() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    stat=${stat##*) }
    # shellcheck disable=SC2086 # the fields are the words
    set -- $stat
    [[ $1 == Z || $1 == X ]] || printf '%s\n' "${20}"
}

# process_record FILE PID: remember a daemon that was just started.
process_record() {
    printf '%s %s\n' "$2" "$(process_start_time "$2")" >"$1"
}

# process_recorded FILE: the pid in a record, when that very process still lives.
process_recorded() {
    local pid start
    [[ -r $1 ]] && read -r pid start <"$1" || return 0
    [[ -n $start && $(process_start_time "$pid") == "$start" ]] && printf '%s\n' "$pid"
    return 0
}

# Seeds of process_owned: pids with the mark, and pids in a foreign mount namespace that has
# something of DIR mounted (a node, or a container that a job started).
process_seeds() {
    local dir=$1 own path pid record
    for record in "$dir"/run/*.record; do
        process_recorded "$record"
    done
    { grep -lzxF "$OWNED=$dir" /proc/[0-9]*/environ 2>/dev/null || true; } | cut -d/ -f3
    own=$(readlink /proc/self/ns/mnt)
    { grep -lF " $dir/" /proc/[0-9]*/mountinfo 2>/dev/null || true; } |
        while IFS= read -r path; do
            pid=${path#/proc/}
            pid=${pid%%/*}
            [[ $(readlink "/proc/$pid/ns/mnt" 2>/dev/null) == "$own" ]] ||
                printf '%s\n' "$pid"
        done
}

# process_owned DIR: "PID START" of every living process of the sandbox in DIR, except this
# shell and its ancestors.
process_owned() {
    local seeds
    seeds=$(process_seeds "$1")
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
        SEEDS=$seeds SELF=$$ awk '
            {
                pid = $1
                sub(/^.*\) /, "")
                if ($1 == "Z" || $1 == "X")
                    next
                parent[pid] = $2
                start[pid] = $20
            }
            END {
                for (p = ENVIRON["SELF"]; p + 0 > 0; p = parent[p])
                    spared[p] = 1
                n = split(ENVIRON["SEEDS"], list, "\n")
                for (i = 1; i <= n; i++)
                    seed[list[i]] = 1
                for (pid in parent) {
                    for (p = pid; p + 0 > 1 && p != ENVIRON["SELF"]; p = parent[p])
                        if (p in seed) {
                            if (!(pid in spared))
                                print pid, start[pid]
                            break
                        }
                }
            }'
}

# process_signal SIGNAL: signals each "PID START" of standard input that still is what it was.
process_signal() {
    local pid start
    while read -r pid start; do
        if [[ $(process_start_time "$pid") == "$start" ]]; then
            kill -s "$1" "$pid" 2>/dev/null || true
        fi
    done
}

# Looks twice: in the middle of an execve a process has no environment to be known by, and
# one whose parent was just ended is known by nothing else.
process_none_owned() {
    [[ -z $(process_owned "$1") && -z $(process_owned "$1") ]]
}

# process_end_all DIR: SIGTERM, three seconds, SIGKILL until none is left. False when some
# process outlives ten seconds of that.
process_end_all() {
    local deadline=$((SECONDS + 10))
    process_owned "$1" | process_signal TERM
    wait_until 3 process_none_owned "$1" && return 0
    while ((SECONDS < deadline)); do
        process_owned "$1" | process_signal KILL
        wait_until 1 process_none_owned "$1" && return 0
    done
    return 1
}
