# bash completion for repx-launch
# Made by gen-docs; change src/request/options.def or src/cmd/ instead.
_repx_launch()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} i

    COMPREPLY=()
    for ((i = 2; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} != -- ]] || return 0
    done
    # --name=value comes as three words
    if [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $cur == = ]]; then
        cur=
    fi
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '--help --version run exec debug-run plan list image cache config doctor version' -- "$cur")
        return 0
    fi
    case $command in
    image)
        if ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W ' inspect prepare' -- "$cur")
            return 0
        fi
        command+=" ${COMP_WORDS[2]}"
        ;;
    cache)
        if ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W ' list prune verify' -- "$cur")
            return 0
        fi
        command+=" ${COMP_WORDS[2]}"
        ;;
    esac
    case $prev in
    --lab | -l)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return 0
        ;;
    --image | -i)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return 0
        ;;
    --runtime)
        mapfile -t COMPREPLY < <(compgen -W 'bwrap podman docker native' -- "$cur")
        return 0
        ;;
    --target | -t)
        return 0
        ;;
    --config | -c)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return 0
        ;;
    --base-path | -b)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return 0
        ;;
    --node-local-path)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return 0
        ;;
    --mount-path | -m)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return 0
        ;;
    --network)
        mapfile -t COMPREPLY < <(compgen -W 'none host' -- "$cur")
        return 0
        ;;
    --gpus)
        return 0
        ;;
    --env | -e)
        return 0
        ;;
    --workdir | -w)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return 0
        ;;
    --jobs | -j)
        return 0
        ;;
    --grace)
        return 0
        ;;
    --unit)
        return 0
        ;;
    --max-size)
        return 0
        ;;
    esac
    if [[ $cur != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return 0
    fi
    case $command in
    'run')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --runtime --bwrap --podman --docker --native --target --config --base-path --node-local-path --mount-host-paths --mount-path --network --gpus --env --workdir --jobs --srun --rerun --grace --no-verify-lab --unit --verbose --quiet --help' -- "$cur")
        ;;
    'exec')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --image --runtime --bwrap --podman --docker --native --target --config --base-path --node-local-path --mount-host-paths --mount-path --network --gpus --env --workdir --grace --verbose --quiet --help' -- "$cur")
        ;;
    'debug-run')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --runtime --bwrap --podman --docker --native --target --config --base-path --node-local-path --mount-host-paths --mount-path --network --gpus --env --workdir --grace --no-verify-lab --unit --verbose --quiet --help' -- "$cur")
        ;;
    'plan')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --runtime --bwrap --podman --docker --native --target --config --base-path --node-local-path --mount-host-paths --mount-path --network --gpus --env --workdir --grace --no-verify-lab --unit --json --verbose --quiet --help' -- "$cur")
        ;;
    'list')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --target --config --base-path --node-local-path --no-verify-lab --json --verbose --quiet --help' -- "$cur")
        ;;
    'image inspect')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --image --target --config --base-path --node-local-path --json --verbose --quiet --help' -- "$cur")
        ;;
    'image prepare')
        mapfile -t COMPREPLY < <(compgen -W ' --lab --image --target --config --base-path --node-local-path --shared --json --verbose --quiet --help' -- "$cur")
        ;;
    'cache list')
        mapfile -t COMPREPLY < <(compgen -W ' --target --config --base-path --node-local-path --shared --json --verbose --quiet --help' -- "$cur")
        ;;
    'cache prune')
        mapfile -t COMPREPLY < <(compgen -W ' --target --config --base-path --node-local-path --dry-run --max-size --all --shared --json --verbose --quiet --help' -- "$cur")
        ;;
    'cache verify')
        mapfile -t COMPREPLY < <(compgen -W ' --target --config --base-path --node-local-path --shared --json --verbose --quiet --help' -- "$cur")
        ;;
    'config')
        mapfile -t COMPREPLY < <(compgen -W ' --runtime --bwrap --podman --docker --native --target --config --base-path --node-local-path --mount-host-paths --mount-path --network --gpus --env --workdir --grace --json --verbose --quiet --help' -- "$cur")
        ;;
    'doctor')
        mapfile -t COMPREPLY < <(compgen -W ' --runtime --bwrap --podman --docker --native --target --config --base-path --node-local-path --mount-host-paths --mount-path --network --gpus --env --workdir --grace --json --verbose --quiet --help' -- "$cur")
        ;;
    'version')
        mapfile -t COMPREPLY < <(compgen -W ' --json --verbose --quiet --help' -- "$cur")
        ;;
    esac
}
complete -o filenames -F _repx_launch repx-launch
