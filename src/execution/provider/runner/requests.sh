# The agent's loop: what `agent.sh`, and what may have changed it since, can be asked for.

nl='
'
content=
printf 'sky-agent 1\n'
while IFS=' ' read -r name count; do
    set --
    while [ "$count" -gt 0 ]; do
        count=$((count - 1))
        IFS= read -r lines && IFS= read -r value || exit 0
        while [ "$lines" -gt 1 ]; do
            lines=$((lines - 1))
            IFS= read -r line || exit 0
            value=$value$nl$line
        done
        set -- "$@" "$value"
    done
    case $name in
        root) request_root "$@" ;;
        *)
            case " $requests " in
                # What a request breaks or locks ends with it.
                *" $name "*) [ -z "$root" ] || ("request_$name" "$@" && echo .) ;;
                *) printf '!Other this is no request: %s\n' "$name" ;;
            esac
            ;;
    esac
done
