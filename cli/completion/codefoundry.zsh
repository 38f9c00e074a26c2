#compdef codefoundry
# Completion of codefoundry for zsh: source <(codefoundry completion zsh), or a file _codefoundry in $fpath.
# What there is to complete is asked of the program itself.
_codefoundry() {
	local line word about files=
	local -a offers
	for line in "${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		word=${line%%$'\t'*}
		about=${line#*$'\t'}
		case $word in
		'') ;;
		:files) files=1 ;;
		*) offers+=("${word//:/\\:}:${about}") ;;
		esac
	done
	(( ${#offers} )) && _describe codefoundry offers
	[[ -n $files ]] && _files
}
if [[ ${funcstack[1]} == _codefoundry ]]; then
	_codefoundry "$@"
else
	compdef _codefoundry codefoundry
fi
