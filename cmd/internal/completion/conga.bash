# Completion of conga for bash:
#   source <(conga completion bash)
_conga() {
	local cur=${COMP_WORDS[COMP_CWORD]} kind='' line
	[[ $cur == '=' || $cur == ':' ]] && cur=''
	COMPREPLY=()
	while IFS= read -r line; do
		if [[ -z $kind ]]; then
			kind=$line
		else
			COMPREPLY+=("${line%%$'\t'*}")
		fi
	done < <("${COMP_WORDS[0]}" complete-words bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	local how=''
	case $kind in
	files) how=-f ;;
	dirs) how=-d ;;
	esac
	[[ -n $how ]] || return 0
	compopt -o filenames 2>/dev/null
	while IFS= read -r line; do
		COMPREPLY+=("$line")
	done < <(compgen "$how" -- "$cur")
}
complete -F _conga conga
