#compdef conga
# Completion of conga for zsh, as a file _conga in a folder of $fpath, or:
#   source <(conga completion zsh)
_conga() {
	local -a lines offers
	local line
	lines=("${(@f)$("${words[1]}" complete-words zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	[[ $words[CURRENT] == --*=* ]] && compset -P '*='
	case $lines[1] in
	files) _files ;;
	dirs) _files -/ ;;
	words)
		for line in "${(@)lines[2,-1]}"; do
			offers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
		done
		_describe -t words conga offers
		;;
	esac
}
if [[ $funcstack[1] == _conga ]]; then
	_conga "$@"
else
	compdef _conga conga
fi
