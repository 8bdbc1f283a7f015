# bash completion for tarn, made by `tarn completion bash`
_tarn()
{
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= options= i
	if [[ $current == "=" ]]; then
		current=
	elif [[ $before == "=" ]]; then
		before=${COMP_WORDS[COMP_CWORD-2]}
	fi
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		run|serve|token|demo|produce|query|ask|transform|lineage|verify|status|doctor|quarantine|model|explain|bench|completion|help|version|worker) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	case "$command $before" in
	"run --listen") :; return ;;
	"run --tokens") compopt -o default; return ;;
	"run --tls-cert") compopt -o default; return ;;
	"run --tls-key") compopt -o default; return ;;
	"run --audit") compopt -o default; return ;;
	"serve --listen") :; return ;;
	"serve --tokens") compopt -o default; return ;;
	"serve --tls-cert") compopt -o default; return ;;
	"serve --tls-key") compopt -o default; return ;;
	"serve --audit") compopt -o default; return ;;
	"token --token-file") compopt -o default; return ;;
	"token --catalog"|"token -c") :; return ;;
	"token --table"|"token -t") :; return ;;
	"token --endpoint"|"token -e") :; return ;;
	"token --max-rows") :; return ;;
	"token --max-duration") :; return ;;
	"token --memory") :; return ;;
	"token --rate") :; return ;;
	"token --per") :; return ;;
	"demo --count"|"demo -n") :; return ;;
	"demo --batch") :; return ;;
	"demo --partitions") :; return ;;
	"demo --seed") :; return ;;
	"produce --topic"|"produce -t") :; return ;;
	"produce --brokers"|"produce -b") :; return ;;
	"produce --shape") COMPREPLY=($(compgen -W "posthog telecom" -- "$current")); return ;;
	"produce --format"|"produce -f") COMPREPLY=($(compgen -W "arrow json" -- "$current")); return ;;
	"produce --count"|"produce -n") :; return ;;
	"produce --batch") :; return ;;
	"produce --bad") :; return ;;
	"produce --rate"|"produce -r") :; return ;;
	"produce --partitions") :; return ;;
	"produce --seed") :; return ;;
	"produce --property"|"produce -X") :; return ;;
	"produce --pace") :; return ;;
	"produce --report") COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
	"query --catalog"|"query -c") :; return ;;
	"query --format"|"query -f") COMPREPLY=($(compgen -W "table csv json arrow parquet" -- "$current")); return ;;
	"query --at") :; return ;;
	"query --at-offset") :; return ;;
	"query --output"|"query -o") compopt -o default; return ;;
	"ask --catalog"|"ask -c") :; return ;;
	"ask --format"|"ask -f") COMPREPLY=($(compgen -W "table csv json" -- "$current")); return ;;
	"ask --limit"|"ask -n") :; return ;;
	"transform --only") :; return ;;
	"transform --format"|"transform -f") COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
	"lineage --format"|"lineage -f") COMPREPLY=($(compgen -W "text json svg" -- "$current")); return ;;
	"lineage --output"|"lineage -o") compopt -o default; return ;;
	"verify --format"|"verify -f") COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
	"status --format"|"status -f") COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
	"quarantine --catalog"|"quarantine -c") :; return ;;
	"quarantine --stream"|"quarantine -s") :; return ;;
	"quarantine --model"|"quarantine -m") :; return ;;
	"quarantine --reason") :; return ;;
	"quarantine --since") :; return ;;
	"quarantine --limit") :; return ;;
	"quarantine --because") :; return ;;
	"quarantine --format"|"quarantine -f") COMPREPLY=($(compgen -W "table csv json" -- "$current")); return ;;
	"model --pipeline"|"model -p") :; return ;;
	"model --format"|"model -f") COMPREPLY=($(compgen -W "table csv json" -- "$current")); return ;;
	"doctor --format"|"doctor -f") COMPREPLY=($(compgen -W "text json" -- "$current")); return ;;
	"bench --brokers"|"bench -b") :; return ;;
	"bench --topic"|"bench -t") :; return ;;
	"bench --count"|"bench -n") :; return ;;
	"bench --runs") :; return ;;
	"bench --memory") :; return ;;
	"bench --like") :; return ;;
	"bench --stages") :; return ;;
	"bench --format"|"bench -f") COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
	"worker --pool") :; return ;;
	"worker --catalog") :; return ;;
	*" --log-level") COMPREPLY=($(compgen -W "debug info warn error" -- "$current")); return ;;
	*" --log-format") COMPREPLY=($(compgen -W "auto json" -- "$current")); return ;;
	*" --color") COMPREPLY=($(compgen -W "auto always never" -- "$current")); return ;;
	esac
	case $command in
	run) options=" --once --listen --tokens --anyone --tls-cert --tls-key --audit" ;;
	serve) options=" --listen --tokens --anyone --tls-cert --tls-key --audit" ;;
	token) options=" --token-file --catalog -c --table -t --endpoint -e --endpoints-only --max-rows --max-duration --memory --rate --per" ;;
	demo) options=" --count -n --batch --partitions --seed --keep" ;;
	produce) options=" --topic -t --brokers -b --shape --format -f --count -n --batch --bad --rate -r --partitions --seed --property -X --pace --report" ;;
	query) options=" --catalog -c --format -f --at --at-offset --output -o" ;;
	ask) options=" --catalog -c --format -f --limit -n --sql-only" ;;
	transform) options=" --full --only --dry-run --format -f" ;;
	lineage) options=" --format -f --columns --output -o" ;;
	verify) options=" --topic --format -f" ;;
	status) options=" --format -f" ;;
	doctor) options=" --format -f" ;;
	quarantine) options=" --catalog -c --stream -s --model -m --reason --since --limit --summary --payload --all --because --dry-run --format -f" ;;
	model) options=" --pipeline -p --format -f" ;;
	explain) options=" --markdown" ;;
	bench) options=" --brokers -b --topic -t --count -n --runs --memory --like --stages --format -f" ;;
	completion) options="" ;;
	help) options=" --man --markdown" ;;
	version) options="" ;;
	worker) options=" --pool --catalog --one-shot --without-guard --without-sandbox" ;;
	esac
	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$options --log-level --log-format --color --help -h --version -V" -- "$current"))
		return
	fi
	case $command in
	""|help) COMPREPLY=($(compgen -W "run serve token demo produce query ask transform lineage verify status doctor quarantine model explain bench completion help version worker" -- "$current")) ;;
	completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$current")) ;;
	run) compopt -o default ;;
	serve) compopt -o default ;;
	demo) compopt -o default ;;
	query) compopt -o default ;;
	ask) compopt -o default ;;
	transform) compopt -o default ;;
	lineage) compopt -o default ;;
	verify) compopt -o default ;;
	status) compopt -o default ;;
	doctor) compopt -o default ;;
	worker) compopt -o default ;;
	quarantine) if [[ $before == quarantine ]]; then COMPREPLY=($(compgen -W "list show replay discard" -- "$current")); else compopt -o default; fi ;;
	model) if [[ $before == model ]]; then COMPREPLY=($(compgen -W "train evaluate predict explain" -- "$current")); else compopt -o default; fi ;;
	esac
}
complete -F _tarn tarn
