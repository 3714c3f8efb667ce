# bash completion for pailctl(1); its commands are the ones that its help lists
_pailctl()
{
	local word=$2
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "$(pailctl --help | sed -n 's/^    \([a-z-]*\) .*/\1/p')" -- "$word"))
	elif [ "$COMP_CWORD" -eq 2 ] && [ "${COMP_WORDS[1]}" = oplog ]; then
		COMPREPLY=($(compgen -W summary -- "$word"))
	elif [ "$COMP_CWORD" -eq 3 ] && [ "${COMP_WORDS[1]}" = policy ]; then
		COMPREPLY=($(compgen -W 'auto sequential ranged' -- "$word"))
	else
		compopt -o filenames
		COMPREPLY=($(compgen -f -- "$word"))
	fi
}
complete -F _pailctl pailctl
