#!/usr/bin/env bats
# Each rule of scripts/lint-layers, scripts/format and shellcheck can fail.

setup() {
    scripts=${REPX_SOURCE_DIR:-$BATS_TEST_DIRNAME/../..}/scripts
    tree=$(mktemp -d "${TMPDIR:-/tmp}/repx-lint.XXXXXX")
    mkdir -p "$tree/src"/{base,sys,request,config,lab,image,plan,runtime,cmd,init}
}

teardown() {
    rm -rf "$tree"
}

# put FILE LINE...: a source file of the tree.
put() {
    local file=$tree/$1
    shift
    printf '%s\n' "$@" >"$file"
}

# refused TEXT: lint-layers fails and says so.
refused() {
    run "$scripts/lint-layers" --root "$tree"
    [[ $status -eq 1 ]] || { echo "status $status: $output"; return 1; }
    [[ $output == *"$1"* ]] || { echo "without '$1': $output"; return 1; }
}

accepted() {
    run "$scripts/lint-layers" --root "$tree"
    [[ $status -eq 0 && -z $output ]] || { echo "status $status: $output"; return 1; }
}

@test "layers: this repository passes" {
    run "$scripts/lint-layers"
    echo "$output"
    [[ $status -eq 0 ]]
}

@test "layers: an include to the left is fine, to the right is not" {
    put src/cmd/a.c '#include "base/error.h"' '#include "lab/lab.h"'
    accepted
    put src/base/a.c '#include "lab/lab.h"'
    refused 'src/base/a.c:1: base/ must not include lab/lab.h'
}

@test "layers: request sees only base, plan never sys" {
    put src/request/a.c '#include "sys/fdio.h"'
    refused 'request/ must not include sys/fdio.h'
    rm "$tree/src/request/a.c"
    put src/plan/a.c '#include "sys/pathfd.h"'
    refused 'plan/ must not include sys/pathfd.h'
}

@test "layers: plan sees only pure headers of image" {
    put src/plan/a.c '#include "image/rootview.h"'
    accepted
    put src/plan/a.c '#include "image/store.h"'
    refused 'plan/ may include only'
}

@test "layers: plan and request read no file, clock or environment" {
    put src/plan/a.c 'int f(void) { return open("x", 0); }'
    refused "'open(' in a pure layer"
    put src/plan/a.c '#include <unistd.h>'
    refused '<unistd.h> in a pure layer'
    put src/plan/a.c '/* open(2) is not called */' 'int opened(void);'
    accepted
    put src/request/a.c 'const char *f(void) { return getenv("A"); }'
    refused "'getenv(' in a pure layer"
}

@test "owners: archive.h only in image/, and so on" {
    local pair
    for pair in lab:archive.h lab:archive_entry.h image:ini.h image:openssl/evp.h \
        sys:jansson.h cmd:slurm/spank.h; do
        put "src/${pair%%:*}/a.c" "#include <${pair#*:}>"
        refused "<${pair#*:}> belongs to"
        rm "$tree/src/${pair%%:*}/a.c"
    done
    put src/image/a.c '#include <archive.h>'
    put src/image/digest.c '#include <openssl/evp.h>'
    put src/config/a.c '#include <ini.h>'
    accepted
}

@test "processes: only sys/spawn.c and init/ make them" {
    local call
    for call in 'fork()' 'vfork()' 'posix_spawn(p)' 'posix_spawnp(p)' 'clone(f)' \
        'syscall(SYS_clone3, a)'; do
        put src/runtime/a.c "int f(void) { return $call; }"
        refused 'makes a process'
    done
    rm "$tree/src/runtime/a.c"
    put src/sys/spawn.c 'int f(void) { return fork(); }'
    put src/init/i.c 'int f(void) { return fork(); }'
    accepted
}

@test "banned functions are found, members and comments of that name are not" {
    local name
    for name in system popen strcpy strcat sprintf strtok atoi alloca gets; do
        put src/cmd/a.c "void f(char *a) { $name(a); }"
        refused "$name() is banned"
    done
    put src/cmd/a.c 'void f(struct x *a) { a->system(a); } /* not sprintf(x) */' \
        'const char *s = "system(1)";'
    accepted
}

@test "only main.c and cmd/ print and exit" {
    local call
    for call in 'printf("x")' 'puts("x")' 'fputs("x", stdout)' 'exit(1)' '_exit(1)'; do
        put src/lab/a.c "void f(void) { $call; }"
        refused 'src/lab/a.c:1:'
    done
    rm "$tree/src/lab/a.c"
    put src/cmd/a.c 'void f(void) { printf("x"); }'
    put src/main.c 'int main(void) { exit(1); }'
    accepted
}

# body LINES: a function whose body has so many lines.
body() {
    local i
    printf 'int f(int a)\n{\n'
    for ((i = 0; i < $1; i++)); do echo '    a++;'; done
    printf '}\n'
}

@test "functions of more than 60 lines, files of more than 500" {
    body 60 >"$tree/src/cmd/a.c"
    accepted
    body 61 >"$tree/src/cmd/a.c"
    refused 'src/cmd/a.c:2: 61 lines in a function'
    seq -f 'int a%.0f;' 501 >"$tree/src/cmd/a.c"
    refused '501 lines in a file'
}

@test "unfinished work and paths of a developer's machine are not committed" {
    put src/cmd/a.c "/* TO""DO: later */"
    refused 'unfinished'
    put src/cmd/a.c "/* FIX""ME */"
    refused 'unfinished'
    put src/cmd/a.c 'int a;'
    mkdir "$tree/docs"
    put docs/a.md "see /wor""k/shared/x"
    refused 'a path of one machine'
    put docs/a.md "see /far""m/x"
    refused 'a path of one machine'
    put docs/a.md "see /network/main and --workdir /work"
    accepted
}

@test "format --check refuses what clang-format would change" {
    cp "$scripts/../.clang-format" "$tree/"
    put src/base/a.c 'int a;'
    run "$scripts/format" --check --root "$tree"
    [[ $status -eq 0 ]]
    put src/base/a.c 'int    a ;'
    run "$scripts/format" --check --root "$tree"
    [[ $status -ne 0 && $output == *'run scripts/format'* ]]
    "$scripts/format" --root "$tree"
    [[ $(cat "$tree/src/base/a.c") == 'int a;' ]]
}

@test "lint fails as a whole when one check fails, and names it" {
    cp -r "$scripts" "$tree/scripts"
    cp "$scripts/../.clang-format" "$tree/"
    mkdir -p "$tree/tests" "$tree/.ci"
    put src/base/a.c 'int a;'
    run "$tree/scripts/lint"
    echo "$output"
    [[ $status -eq 0 ]]
    # shellcheck disable=SC2016 # the text of a script
    printf '#!/bin/bash\nrm $1\n' >"$tree/tests/bad.bash"
    put src/base/a.c 'int f(void)' '{' '    int a[2];' '    return a[2];' '}'
    run "$tree/scripts/lint"
    echo "$output"
    [[ $status -ne 0 && $output == *'failed: shell cppcheck' ]]
}
