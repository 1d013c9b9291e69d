"""Writes the completion script of fish."""

from collections.abc import Iterator

from command_tree import FILES, KEPT, MADE, Command, slashed


def fish(tree: list[Command]) -> str:
    """Return the script for fish: a line for each option of each command."""
    lines = [line for command in tree for line in _fish_lines(command)]
    return _SCRIPT.replace("@MADE@", MADE) + "\n".join(lines) + "\n"


def _fish_lines(command: Command) -> Iterator[str]:
    here = " ".join(("__runa_is" if command.commands else "__runa_in", *command.path))
    for inner in command.commands:
        yield f"complete -c runa -n {_fish_quoted(here)} -a {inner.path[-1]} -d {_fish_quoted(inner.help)}"
    for argument in command.arguments:
        if argument.values:
            about = f" -d {_fish_quoted(argument.help)}" if argument.help and argument.values not in KEPT else ""
            yield f"complete -c runa -n {_fish_quoted(here)}{_fish_values(argument.values)}{about}"
    for option in command.options:
        once = "" if option.repeats else f"; and __runa_new {'= ' if option.metavar else ''}{' '.join(option.names)}"
        value = f" -r{_fish_values(option.values)}" if option.metavar else ""
        for name in option.names:
            flag = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            yield f"complete -c runa -n {_fish_quoted(here + once)} {flag}{value} -d {_fish_quoted(option.help)}"


def _fish_values(values: tuple[str, ...]) -> str:
    if values in KEPT:
        return f" -f -a '(__runa_kept {KEPT[values]})'"
    return " -F" if values == (FILES,) else f" -f -a {_fish_quoted(' '.join(values))}" if values else " -f"


def _fish_quoted(text: str) -> str:
    return "'" + slashed(text, "'") + "'"


_SCRIPT = r"""# Completes runa in fish without starting it; @MADE@.

function __runa_is -d 'Tell whether nothing but this command is typed'
    set -l words (commandline -opc | string match --invert -- '-*')
    test "$words[2..]" = "$argv"
end

function __runa_in -d 'Tell whether this command is typed, and maybe more'
    set -l words (commandline -opc | string match --invert -- '-*')
    set -l last (math (count $argv) + 1)
    test "$words[2..$last]" = "$argv"
end

function __runa_new -d 'Tell whether none of these options is typed; after a =, or one awaits its value'
    set -l words (commandline -opc)
    if test "$argv[1]" = =
        set --erase argv[1]
        contains -- "$words[-1]" $argv; and return 0
    end
    for name in $argv
        string match --quiet --regex -- "^$name(=|\$)" $words; and return 1
    end
    return 0
end

function __runa_environment -d 'Tell which environment is meant: by a flag, a setting, or the one used last'
    set -l words (commandline -opc)
    set -l environment (string match --regex --groups-only -- '^--env=(.*)' $words)[-1]
    set -l before
    for word in $words
        test "$before" = --env; and set environment $word
        set before $word
    end
    test -n "$environment"; or set environment $RUNA_ENV
    test -n "$environment"; or set environment (__runa_of_key $RUNA_API_KEY)
    if test -z "$environment"; and test -f .env; and test -r .env
        while read -l line
            set line (string replace --regex -- '^export ' '' $line | string replace --all --regex -- '["\' ]' '')
            if string match --quiet --regex -- '^RUNA_ENV=(?<value>.+)' $line
                set environment $value
                break
            else if string match --quiet --regex -- '^RUNA_API_KEY=(?<value>.*)' $line
                set environment (__runa_of_key $value)
            end
        end <.env
    end
    contains -- "$environment" live playground local; or read environment <$argv[1]/names-environment
    echo $environment
end

function __runa_of_key -d 'Tell the environment of a key'
    string match --quiet --ignore-case -- 'wg*.*' $argv; and echo live
    string match --quiet --ignore-case -- 'xx*.*' $argv; and echo playground
end

function __runa_kept -d 'Offer what a file of runa lists, a name a line, a product with its name after a tab'
    set -l directory $HOME/.cache/runa
    test -n "$XDG_CACHE_HOME"; and set directory $XDG_CACHE_HOME/runa
    test -r $directory/names-environment; or set directory $HOME/Library/Caches/runa
    test -r $directory/names-environment; or return
    set -l file $directory/names-$argv[1]-(__runa_environment $directory)
    test -r $file; or return
    while read -l line
        printf '%s\n' $line
    end <$file
end

complete -c runa -f
"""
