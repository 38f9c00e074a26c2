# Completion of codefoundry for bash: source <(codefoundry completion bash)
# What there is to complete is asked of the program itself.
_codefoundry() {
	local line word
	COMPREPLY=()
	while IFS= read -r line; do
		word=${line%%$'\t'*}
		case $word in
		:files) compopt -o default 2>/dev/null ;;
		*:) compopt -o nospace 2>/dev/null; COMPREPLY+=("$word") ;;
		*) COMPREPLY+=("$word") ;;
		esac
	done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _codefoundry codefoundry
