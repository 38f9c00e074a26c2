# Completion of codefoundry for fish: codefoundry completion fish | source
# What there is to complete is asked of the program itself.
function __codefoundry_complete
	set -l words (commandline -opc)
	set -l last (commandline -ct)
	for line in ($words[1] complete -- $words[2..-1] "$last" 2>/dev/null)
		if string match -q ':files*' -- $line
			__fish_complete_path "$last"
		else
			printf '%s\n' $line
		end
	end
end
complete -c codefoundry -f -a '(__codefoundry_complete)'
