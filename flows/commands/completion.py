"""Complete commands, keys, choices and runs with Tab: prints the lines for bash, zsh or fish."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser

_BASH = """\
# rotoscope in bash: eval "$(rotoscope completion bash)", for instance in ~/.bashrc
_rotoscope() {
    local IFS=$'\\n'
    COMPREPLY=($(rotoscope completion --answer bash "${COMP_LINE:0:$COMP_POINT}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} =~ [=./]$|^\\[ ]] && compopt -o nospace
}
complete -F _rotoscope rotoscope
"""
_ZSH = """\
# rotoscope in zsh: eval "$(rotoscope completion zsh)", behind compinit in ~/.zshrc
_rotoscope() {
    local -a found
    found=("${(@f)$(rotoscope completion --answer zsh "${BUFFER[1,$CURSOR]}" 2>/dev/null)}")
    compadd -Q -S ' ' -- ${found:#*[=./,]}
    compadd -Q -S '' -- ${(M)found:#*[=./,]}
}
compdef _rotoscope rotoscope
"""
_FISH = """\
# rotoscope in fish: rotoscope completion fish > ~/.config/fish/completions/rotoscope.fish
complete -c rotoscope -f -a '(rotoscope completion --answer fish (commandline -cp | string collect) 2>/dev/null)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def main(argv: Sequence[str]) -> int:
    """``rotoscope completion SHELL``; the shell calls it back with ``--answer`` and the line as far as the cursor."""
    parser = Parser("completion", __doc__ or "")
    parser.add_argument("shell", choices=SCRIPTS, help="whose lines to print")
    parser.add_argument("line", nargs="?", default="", help="with --answer: the command line up to the cursor")
    parser.add_argument("--answer", action="store_true", help="print what the last word can become, one a line")
    options = parser.parse_args(list(argv))
    if not options.answer:
        print(SCRIPTS[options.shell], end="")
        return 0
    from flows.edge.completion import candidates, last_word

    found = candidates(options.line, options.store)
    if options.shell == "bash":  # its words end at = and :
        stop = max(last_word(options.line).rfind(mark) for mark in "=:") + 1
        found = [one[stop:] for one in found]
    print("\n".join(found))
    return 0
