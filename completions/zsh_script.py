"""Writes the completion script of zsh."""

import shlex

from command_tree import FILES, KEPT, MADE, Argument, Command, Option, slashed


def zsh(tree: list[Command]) -> str:
    """Return the script for zsh: a function for each command."""
    functions = "\n".join(_zsh_function(command) for command in tree)
    return _SCRIPT.replace("@MADE@", MADE).replace("@FUNCTIONS@", functions)


def _zsh_function(command: Command) -> str:
    specs = [_zsh_option(name, option) for option in command.options for name in option.names]
    if not command.commands:
        specs += [_zsh_argument(*numbered) for numbered in enumerate(command.arguments, 1)]
        lines = ["_arguments -s -S \\", *_continued(specs)]
    else:
        specs += ["'1: :->command'", "'*:: :->rest'"]
        entries = [f"{inner.path[-1]}:{slashed(inner.help, ':')}" for inner in command.commands]
        lines = [
            "local curcontext=$curcontext state ret=1",
            "local -a commands line",
            "local -A opt_args",
            "_arguments -C -s -S \\", *_continued(specs, " && ret=0"),
            "case $state in",
            "    command)",
            "        commands=(", *(f"            {shlex.quote(entry)}" for entry in entries), "        )",
            "        _describe -t commands command commands && ret=0 ;;",
            "    rest)",
            "        case $line[1] in",
            *(f"            {inner.path[-1]}) {_zsh_name(inner)} && ret=0 ;;" for inner in command.commands),
            "        esac ;;",
            "esac",
            "return ret",
        ]  # fmt: skip
    return "\n".join([f"{_zsh_name(command)}() {{", *("    " + line for line in lines), "}", ""])


def _zsh_name(command: Command) -> str:
    return "_".join(("_runa", *command.path))


def _continued(specs: list[str], end: str = "") -> list[str]:
    return [f"    {spec} \\" for spec in specs[:-1]] + [f"    {specs[-1]}{end}"]


def _zsh_option(name: str, option: Option) -> str:
    alone = "- *" if {"--help", "--version"} & {*option.names} else " ".join(option.names)
    value = ("=" if name.startswith("--") else "+") if option.metavar else ""
    what = f":{slashed(option.metavar, ':')}:{_zsh_values(option.values)}" if option.metavar else ""
    return shlex.quote(f"{'*' if option.repeats else f'({alone})'}{name}{value}[{slashed(option.help, '[]:')}]{what}")


def _zsh_argument(number: int, argument: Argument) -> str:
    what = slashed(argument.help or argument.metavar, ":")
    return shlex.quote(f"{number}{':' if argument.required else '::'}{what}:{_zsh_values(argument.values)}")


def _zsh_values(values: tuple[str, ...]) -> str:
    if values in KEPT:
        return f"_runa_kept {KEPT[values]}"
    return "_files" if values == (FILES,) else f"({' '.join(values)})" if values else ""


_SCRIPT = r"""#compdef runa
# Completes runa in zsh without starting it; @MADE@.

# Offer what a file of runa's lists, a name a line, a product with its name after a tab. Which environment the command
# line is for is told by a flag, the environment, ./.env, or the last one used.
_runa_kept() { # what compadd takes, and the KIND
    local kind=$@[-1] directory environment='' line i
    local -a names shown
    for directory in ${XDG_CACHE_HOME:-$HOME/.cache}/runa $HOME/Library/Caches/runa; do
        [[ -r $directory/names-environment ]] && break
    done
    [[ -r $directory/names-environment ]] || return 1
    for ((i = 1; i < CURRENT; i++)); do
        case $words[i] in
            --env) environment=$words[i+1] ;;
            --env=*) environment=${words[i]#--env=} ;;
        esac
    done
    environment=${environment:-$RUNA_ENV}
    case $environment$RUNA_API_KEY in
        [wW][gG]*.*) environment=live ;;
        [xX][xX]*.*) environment=playground ;;
    esac
    if [[ -z $environment && -f .env && -r .env ]]; then
        while IFS= read -r line || [[ -n $line ]]; do
            line=${line#export }
            line=${line//[\"\' ]/}
            case $line in
                RUNA_ENV=?*) environment=${line#*=} && break ;;
                RUNA_API_KEY=[wW][gG]*) environment=live ;;
                RUNA_API_KEY=[xX][xX]*) environment=playground ;;
            esac
        done <.env
    fi
    [[ $environment == (live|playground|local) ]] || environment=$(<$directory/names-environment)
    [[ -r $directory/names-$kind-$environment ]] || return 1
    shown=("${(@f)$(<$directory/names-$kind-$environment)}")
    names=("${(@)shown%%$'\t'*}")
    shown=("${(@)shown/$'\t'/  }")
    [[ $kind == products ]] && set -- -l "$@"
    compadd "${@[1,-2]}" -d shown -a names
}

@FUNCTIONS@
if [[ $funcstack[1] == _runa ]]; then
    _runa "$@"
else # sourced, not loaded from fpath
    compdef _runa runa
fi
"""
