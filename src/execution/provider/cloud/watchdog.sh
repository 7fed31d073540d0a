# Powers the machine off when its lease is over: sky-watchdog HOME [ETC RUN PAUSE POWEROFF]
#
# ETC/lease says for how many seconds of uptime the machine may live by itself. Longer leases come through files in the
# home folder, which the command can write as well as sky can. So a lease is only believed when it is signed by the key
# that sky logs in with (ETC/signers has its public half), and says the word in RUN/challenge, which is another one
# every minute: a signature cannot be kept for later. Without ETC/signers, or with an OpenSSH that knows no signatures,
# the number in a file is believed, and two minutes more.
home=$1 etc=${2:-/etc/sky} run=${3:-/run/sky} pause=${4:-5} poweroff=${5:-systemctl poweroff}
number() {
    case $1 in '' | *[!0-9]* | ??????????*) return 1 ;; esac
}
uptime() {
    read -r now _ < /proc/uptime
    now=${now%%.*}
}
end=$(cat "$etc/lease")
number "$end" || end=0
signed=
if [ -s "$etc/signers" ] && ! ssh-keygen -Y verify 2>&1 | grep -qi 'option'; then
    signed=1
    (umask 077 && mkdir -p "$run") && chmod 755 "$run"
fi
word='' former='' next_word=0

# Another word every minute; the one before it is still good, for what is on its way.
challenge() {
    uptime
    [ "$now" -ge "$next_word" ] || return 0
    former=$word
    read -r word < /proc/sys/kernel/random/uuid
    next_word=$((now + 60))
    printf '%s\n' "$word" > "$run/challenge.new" && chmod 644 "$run/challenge.new" && mv -f "$run/challenge.new" "$run/challenge"
}
# A renewal is one line: a token, the word, and for how many seconds from now on. It is copied first: a command could
# put another file in its place while it is looked at.
see_renewal() {
    head -c 300 "$1" > "$run/renewal" 2> /dev/null && head -c 4000 "$1.sig" > "$run/renewal.sig" 2> /dev/null || return 0
    read -r _ said seconds _ < "$run/renewal" || return 0
    number "$seconds" && [ -n "$said" ] && { [ "$said" = "$word" ] || [ "$said" = "$former" ]; } || return 0
    ssh-keygen -q -Y verify -f "$etc/signers" -I sky -n sky-lease -s "$run/renewal.sig" < "$run/renewal" > /dev/null 2>&1 || return 0
    uptime
    end=$((now + seconds + 120))
    # It is good for one time.
    word='' former='' next_word=0
}
while :; do
    if [ -n "$signed" ]; then
        challenge
        for file in "$home"/sky/machines/*/box/.run/renewal; do
            [ ! -f "$file" ] || see_renewal "$file"
        done
    else
        for file in "$home"/sky/machines/*/box/.run/lease; do
            [ -f "$file" ] || continue
            renewed=$(head -c 20 "$file" 2> /dev/null)
            number "$renewed" || continue
            renewed=$((renewed + 120))
            [ "$renewed" -le "$end" ] || end=$renewed
        done
    fi
    uptime
    [ "$now" -lt "$end" ] || break
    sleep "$pause"
done
# shellcheck disable=SC2086 # a command and its arguments
exec $poweroff
