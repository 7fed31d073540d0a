# Runs one command and writes down how it ended. $1: the control folder.
# A signal to the group is for the command; this shell stays to see the end of it.
trap : HUP INT TERM
IFS= read -r stat < "/proc/$$/stat"
# Whoever creates the file first runs the command; there is never a second run.
(set -C; printf '%s\n' "$stat" > "$1/pid") 2> /dev/null || exit 0
/bin/sh "$1/command" < /dev/null
code=$?
printf '%s\n' "$code" > "$1/exit.new" && mv -f "$1/exit.new" "$1/exit"
