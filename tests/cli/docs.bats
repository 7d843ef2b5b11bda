#!/usr/bin/env bats
# What the documentation says is so: generated files are current, links lead somewhere,
# keys, exit texts and layers are those of the source.

setup() {
    source=${REPX_SOURCE_DIR:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}
    build=${REPX_BUILD_DIR:-$source/build/dev}
    launch=$build/src/repx-launch
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/repx-docs.XXXXXX")
    check=$source/tests/cli/check_docs.py
    local name
    for name in $(compgen -e | grep ^REPX_); do
        unset "$name"
    done
}

teardown() {
    rm -rf -- "$scratch"
}

# current FORM FILE: the committed file is what gen-docs prints.
current() {
    "$build/src/gen-docs" "$1" >"$scratch/$1"
    diff -u "$source/$2" "$scratch/$1" || {
        echo "regenerate: gen-docs $1 >$2"
        return 1
    }
}

@test "man page, completion and option reference are current" {
    current man docs/man/repx-launch.1
    current bash config/completions/repx-launch.bash
    current markdown docs/options.md
}

@test "gen-docs refuses what it does not know" {
    run "$build/src/gen-docs" html
    [ "$status" -eq 2 ]
    [[ $output == usage:* ]]
}

@test "the man page renders without a warning" {
    groff -man -ww -Tascii -P-cbou "$source/docs/man/repx-launch.1" \
        >"$scratch/page" 2>"$scratch/warnings"
    cat "$scratch/warnings"
    [ ! -s "$scratch/warnings" ]
    # what a shell is given has to be pasted from the page
    grep -q -e '--base-path DIR' "$scratch/page"
    grep -q 'REPX_NODE_LOCAL_PATH' "$scratch/page"
}

@test "every command's --help fits 80 columns and ends with 0" {
    local names name
    "$launch" --help >"$scratch/help"
    mapfile -t names < <(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' \
        "$scratch/help")
    [ "${#names[@]}" -ge 10 ]
    for name in "${names[@]}"; do
        # shellcheck disable=SC2086 # two words for some
        "$launch" $name --help >"$scratch/one"
        grep -q "^Usage: repx-launch $name" "$scratch/one"
        cat "$scratch/one" >>"$scratch/help"
    done
    run awk 'length > 80 { print; bad = 1 } END { exit bad }' "$scratch/help"
    echo "$output"
    [ "$status" -eq 0 ]
}

# complete_line WORD...: what the completion offers for the last word.
complete_line() {
    # shellcheck disable=SC1091
    . "$source/config/completions/repx-launch.bash"
    COMP_WORDS=(repx-launch "$@")
    COMP_CWORD=$#
    _repx_launch
    offered=" ${COMPREPLY[*]} "
}

@test "completion: commands, second words, options, arguments" {
    complete_line ''
    [[ $offered == *" run "* && $offered == *" image "* && $offered == *" debug-run "* ]]
    complete_line image p
    [[ $offered == " prepare " ]]
    complete_line run --no
    [[ $offered == *" --no-verify-lab "* && $offered != *--image* ]]
    complete_line cache list --
    [[ $offered == *" --json "* && $offered != *--native* ]]
    complete_line exec --runtime ''
    [[ $offered == *" bwrap "* ]]
    complete_line exec --network = h
    [[ $offered == " host " ]]
    touch "$scratch/lab.tar"
    complete_line run --lab "$scratch/la"
    [[ $offered == " $scratch/lab.tar " ]]
    complete_line exec -- --
    [[ $offered == "  " ]]
}

@test "README has exactly the two set-up commands" {
    run python3 "$check" setup "$source"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "every link in the documentation leads to a file and a heading" {
    run python3 "$check" links "$source"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "configuration.md has every key of the table, in its section, and no other" {
    run python3 "$check" keys "$source"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "the messages of errors.md are in the source" {
    run python3 "$check" messages "$source"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "architecture.md names the layers in their order" {
    run python3 "$check" layers "$source"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "the checks of the documentation can fail" {
    local what
    mkdir "$scratch/tree"
    cp -r "$source/README.md" "$source/CONTRIBUTING.md" "$source/SECURITY.md" \
        "$source/CHANGELOG.md" "$source/LICENSE" "$source/docs" "$source/config" \
        "$source/src" "$source/spank" "$scratch/tree/"
    cd "$scratch/tree"
    sed -i 's|^scripts/test$|&\nscripts/extra|' README.md
    echo '[gone](docs/gone.md) [odd](docs/adr/README.md#nothing)' >>CONTRIBUTING.md
    sed -i '/^| `grace`/d' docs/configuration.md
    sed -i 's/unknown key/mystery key/' docs/errors.md
    sed -i '/^| `outcome`/d' docs/architecture.md
    for what in setup links keys messages layers; do
        run python3 "$check" "$what" .
        echo "$what: $output"
        [ "$status" -eq 1 ]
    done
    run python3 "$check" links .
    [[ $output == *docs/gone.md* && $output == *"#nothing"* ]]
}
