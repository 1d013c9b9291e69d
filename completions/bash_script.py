"""Writes the completion script of bash, which shows no help texts."""

import shlex

from command_tree import MADE, Command, Option


def bash(tree: list[Command]) -> str:
    """Return the script for bash, which shows no help texts."""
    cases = "\n".join(
        f"        {shlex.quote(' '.join(command.path))})\n"
        f"            words='{_bash_words(command)}'\n"
        f"            options=' {' '.join(map(_bash_option, command.options))} ' ;;"
        for command in tree
    )
    return _SCRIPT.replace("@MADE@", MADE).replace("@CASES@", cases)


def _bash_words(command: Command) -> str:
    first = command.arguments[0].values if command.arguments else ()
    values = [inner.path[-1] for inner in command.commands] or first
    return "=" + ",".join(values) if values else ""


def _bash_option(option: Option) -> str:
    value = "=" + ",".join(option.values) if option.metavar else ""
    return ",".join(option.names) + ("+" if option.repeats else "") + value


_SCRIPT = r"""# Completes runa in bash without starting it; @MADE@.

# Tell what follows a command. words: what is no option, as =a,b. options: NAMES for a flag, NAMES= with a value,
# NAMES=a,b with one of these, NAMES=/ with a file, NAMES=@batches with a name that runa keeps; NAMES+ may be repeated.
_runa_follows() {
    case $1 in
@CASES@
        *) words='' ;;
    esac
}

# Tell in environment which one the command line is for: by a flag, the environment, ./.env, or the last one used.
_runa_environment() { # DIRECTORY of the names that runa keeps
    local line i
    environment=''
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == --env ]] || continue
        environment=${COMP_WORDS[i + 1]}
        [[ $environment != = ]] || environment=${COMP_WORDS[i + 2]}
    done
    environment=${environment:-${RUNA_ENV-}}
    case $environment${RUNA_API_KEY-} in
        [wW][gG]*.*) environment=live ;;
        [xX][xX]*.*) environment=playground ;;
    esac
    if [[ ! $environment && -f .env && -r .env ]]; then
        while IFS= read -r line || [[ $line ]]; do
            line=${line#export }
            line=${line//[\"\' ]/}
            case $line in
                RUNA_ENV=?*) environment=${line#*=} && break ;;
                RUNA_API_KEY=[wW][gG]*) environment=live ;;
                RUNA_API_KEY=[xX][xX]*) environment=playground ;;
            esac
        done <.env
    fi
    case $environment in
        live | playground | local) ;;
        *) IFS= read -r environment <"$1/names-environment" ;;
    esac
}

# Offer what a file of runa's lists, a name a line. compgen -W would run what looks like a command in a name.
_runa_kept() { # KIND
    local directory environment line quoted
    directory=${XDG_CACHE_HOME:-$HOME/.cache}/runa
    [[ -r $directory/names-environment ]] || directory=$HOME/Library/Caches/runa
    [[ -r $directory/names-environment ]] || return
    _runa_environment "$directory"
    [[ -r $directory/names-$1-$environment ]] || return
    while IFS= read -r line || [[ $line ]]; do
        line=${line%%$'\t'*}
        printf -v quoted %q "$line"
        if [[ $current != [\"\']* ]]; then
            [[ $quoted != "$current"* ]] || COMPREPLY+=("$quoted")
        elif [[ $line == "${current:1}"* && $line != *[^[:alnum:]\ ._@+-]* ]]; then
            COMPREPLY+=("$line") # what would mean something in quotes is not offered there
        fi
    done <"$directory/names-$1-$environment"
}

_runa() {
    local IFS=$' \n' current=${COMP_WORDS[COMP_CWORD]} command='' words options awaited='' word option names i
    _runa_follows ''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == [=:]* ]]; then # bash takes --env=live for three words, and a:b too
            [[ $awaited ]] || ((i++))
        elif [[ $awaited ]]; then
            awaited=''
        elif [[ $word == -- ]]; then
            options=' '
        elif [[ $word == -?* ]]; then
            for option in $options; do
                names=${option%%=*}
                if [[ ,${names%+}, == *,"$word",* ]]; then
                    [[ $option == *=* ]] && awaited="=${option#*=}"
                    [[ $names == *+ ]] || options=${options/" $option "/ }
                fi
            done
        else
            command+="${command:+ }$word"
            _runa_follows "$command"
        fi
    done
    ((i > COMP_CWORD)) && return
    if [[ $current == [=:]* ]]; then
        [[ $awaited ]] || return
        current=''
    fi
    names=''
    if [[ $awaited || ($words && $current != -*) ]]; then
        names=${awaited:-$words}
    else
        for option in $options; do
            option=${option%%=*}
            names+=,${option%+}
        done
    fi
    if [[ $names == =@* ]]; then
        _runa_kept "${names#=@}"
    elif [[ $names == =/ ]]; then
        # shellcheck disable=SC2207
        compopt -o default 2>/dev/null || IFS=$'\n' COMPREPLY=($(compgen -f -- "$current"))
    else
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -W "${names//[=,]/ }" -- "$current"))
    fi
}

complete -F _runa runa
"""
