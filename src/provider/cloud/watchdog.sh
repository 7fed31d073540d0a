# Powers the machine off when its lease is over. /etc/sky/lease says for how many seconds of uptime
# the machine may live by itself; the files of the attempts on it, whose leases sky renews, until which
# second, and two minutes more. What is in those is the command's to write, so it is only ever a number.
number() {
    case $1 in '' | *[!0-9]* | ??????????*) return 1 ;; esac
}
first=$(cat /etc/sky/lease)
number "$first" || first=0
while :; do
    end=$first
    for file in "$1"/sky/machines/*/box/.run/lease; do
        [ -f "$file" ] || continue
        renewed=$(head -c 20 "$file" 2> /dev/null)
        number "$renewed" || continue
        renewed=$((renewed + 120))
        [ "$renewed" -le "$end" ] || end=$renewed
    done
    read -r up _ < /proc/uptime
    [ "${up%%.*}" -lt "$end" ] || break
    sleep 5
done
exec systemctl poweroff
