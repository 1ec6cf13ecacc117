# Tells every user's systemd that runs now: user_units ACTION...
user_units() {
    [ -d /run/systemd/system ] || return 0
    systemctl --quiet --plain --no-legend list-units 'user@*.service' |
    while read -r unit _; do
        uid=${unit#user@}
        systemctl --quiet --user --machine="${uid%.service}@" "$@" || true
    done
}
