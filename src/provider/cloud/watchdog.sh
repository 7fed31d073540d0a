# Powers the machine off when its lease is over. /etc/sky/lease says for how many seconds of uptime
# the machine may live by itself; the files of the attempts on it, whose leases sky renews, until which
# second, and two minutes more.
first=$(cat /etc/sky/lease)
while :; do
    end=$first
    for file in /home/sky/sky/machines/*/box/.run/lease; do
        [ -r "$file" ] || continue
        IFS= read -r renewed < "$file" || continue
        renewed=$((renewed + 120))
        [ "$renewed" -le "$end" ] || end=$renewed
    done
    read -r up _ < /proc/uptime
    [ "${up%%.*}" -lt "$end" ] || break
    sleep 5
done
exec systemctl poweroff
