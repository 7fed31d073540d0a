# An eviction is a scheduled event of the type Preempt, announced 30 seconds ahead or more. The first question
# of a machine may take up to two minutes.
# https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events
base=${SKY_METADATA:-http://169.254.169.254}
pause=3
ask() {
    said=$(curl -sf -m 130 --noproxy '*' -H 'Metadata: true' "$base/metadata/scheduledevents?api-version=2020-07-01") || return 1
    # An event a line. Events of other machines are not told to one that is in no set.
    event=$(printf %s "$said" | tr -d '\n' | sed 's/} *, *{/}\n{/g' | grep '"EventType" *: *"Preempt"' | head -n 1)
    [ -n "$event" ] || return 0
    # Once it is under way, the time is empty.
    time=$(printf '%s\n' "$event" | sed -n 's/.*"NotBefore" *: *"\([^"]*\)".*/\1/p')
    seconds_to "$time" 30
}
