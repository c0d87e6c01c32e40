#!/bin/bash
# Runs as root in the booted tree. Every step says what it has shown; the first that fails ends the test. Nothing here waits for
# a time: whatever takes a while is asked for until it is so, and given up at a deadline.
set -uo pipefail
export DOSD_DATA_DIR=/var/lib/dosd
began=$SECONDS

shown() { printf 'ok: %s\n' "$*"; }
part() { printf '\n--- %s\n' "$*"; }

fail() {
    printf 'FAILED: %s (line %s)\n' "$*" "${BASH_LINENO[-2]}"
    systemctl --no-pager --full status dosd.service 'peerd@*.service' 2>&1 | tail -60
    exit 1
}

# must COMMAND...: it succeeds.
must() { "$@" || fail "$*"; }

# within SECONDS COMMAND...: it succeeds within so many seconds.
within() {
    local deadline=$((SECONDS + $1))
    shift
    now_is "$@" && return
    while [ $SECONDS -le $deadline ]; do
        now_is "$@" && return
        sleep 0.05
    done
    fail "not in time: $*"
}
now_is() { "$@" >/dev/null 2>&1; }

get() { systemctl show --value -p "$2" "$1"; }
is() { [ "$(get "$1" "$2")" = "$3" ]; }
pid() { get "$1" MainPID; }
ctl() { local who=$1; shift; dosctl --socket "/run/dos/$who/control.sock" "$@"; }
online() { ctl "$1" status --json | grep -q '"state": *"online"'; }

# A unit has another process than PID and is ready.
renewed() { is "$1" ActiveState active && [ "$(pid "$1")" != "$2" ] && [ "$(pid "$1")" != 0 ]; }

# dropin UNIT LINE...: settings in [Service] for this test.
dropin() {
    local unit=$1
    shift
    mkdir -p "/run/systemd/system/$unit.d"
    { echo '[Service]'; printf '%s\n' "$@"; } >"/run/systemd/system/$unit.d/test.conf"
    systemctl daemon-reload
}
undo_dropin() { rm -r "/run/systemd/system/$1.d"; systemctl daemon-reload; }

# What is on the disk and could be left behind.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /out -o -path /opt/dos \
        -o -path /var/log -o -path /var/tmp -o -path /var/lib/dpkg -o -path /var/cache -o -path /home/tester \) -prune -o -print | sort
}

cat >/root/picture.py <<'X'
"""Writes a PNG of random pixels, so large that it does not fit into one message."""
import os, struct, sys, zlib
side = 700
rows = b"".join(b"\0" + os.urandom(side * 3) for _ in range(side))
def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
with open(sys.argv[1], "wb") as out:
    out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
              + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
X
cat >/root/knock.py <<'X'
"""Connects to the directory's port over and over until told to stop; tells how often it was let in and how often refused."""
import os, socket, sys
let_in = refused = 0
while not os.path.exists(sys.argv[1]):
    try:
        socket.create_connection(("127.0.0.1", 5001), timeout=20).close()
        let_in += 1
    except OSError:
        refused += 1
print(let_in, refused)
X
cat >/root/hang.py <<'X'
"""Stops one thread of a process and holds it until the process is gone."""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
process, name = sys.argv[1], sys.argv[2]
threads = [t for t in os.listdir(f"/proc/{process}/task")
           if open(f"/proc/{process}/task/{t}/comm").read().strip() == name]
[thread] = threads
PTRACE_ATTACH = 16
if libc.ptrace(PTRACE_ATTACH, int(thread), None, None) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("held", flush=True)
WALL = 0x40000000
while True:
    _, status = os.waitpid(int(thread), WALL)
    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
        break
X

# --- what is knocked at while something happens
knock() { rm -f /root/enough; python3 /root/knock.py /root/enough >/root/knocked & knocker=$!; }
nobody_refused() {
    local in out
    touch /root/enough
    wait "$knocker"
    read -r in out </root/knocked
    [ "$out" = 0 ] && [ "$in" -gt 0 ] || fail "$1: $in connections let in, $out refused"
    shown "$1: $in connections, none refused"
}

part 'install'
# Manual pages and documentation belong to the packages.
rm -f /etc/dpkg/dpkg.cfg.d/*
systemctl daemon-reload
files >/root/before
getent passwd >/root/users-before
must dpkg -i /opt/dos/*.deb >/root/dpkg.log 2>&1 || cat /root/dpkg.log
shown "$(dpkg-query -W -f '${Package} ${Version}, ' dos-server dos-peer)installed on systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
must systemctl is-enabled --quiet dosd.service dosd.socket
must is dosd.service ActiveState active
must is dosd.socket ActiveState active
# READY=1 comes only when everything is open: the first command after the start is answered.
must dosd link >/dev/null
shown 'dosd is enabled, started and ready'
for page in dosd dosd-serve peerd dosctl dosctl-share; do
    [ -e "/usr/share/man/man1/$page.1" ] || [ -e "/usr/share/man/man1/$page.1.gz" ] || fail "no manual page $page"
done
for program in dosd dosctl peerd; do must bash -n /usr/share/bash-completion/completions/$program; done
shown 'manual pages and completions are there'

part 'exposure'
for unit in dosd.service peerd@.service; do
    file=/root/${unit/@/@x}
    cp /usr/lib/systemd/system/$unit "$file"
    said=$(systemd-analyze security --no-pager --offline=true --threshold=15 "$file") || fail "exposure above 1.5: $said"
    shown "$unit: $(grep -o '[0-9.]* [A-Z]* [^ ]*$' <<<"$said" | tail -1)"
done
must systemd-analyze verify --man=no /usr/lib/systemd/system/{dosd.service,dosd.socket,peerd@.service}
XDG_RUNTIME_DIR=/run must systemd-analyze --user verify --man=no /usr/lib/systemd/user/peerd@.service

part 'start, status, the sandbox while the main job runs'
for who in alice bob; do
    must systemctl start "peerd@$who.service"
    # Ready: the first command is answered.
    must ctl $who status >/dev/null 2>&1
    is "peerd@$who.service" StatusText unregistered || fail "status: $(get "peerd@$who.service" StatusText)"
    # By name: the resolver works in the sandbox, too.
    must ctl $who register --server "$(dosd link | sed 's/@.*:/@localhost:/')" --name $who >/dev/null
done
within 10 is dosd.service StatusText '2 sessions'
get peerd@alice.service StatusText | grep -q '^online as .* (alice)$' || fail "status: $(get peerd@alice.service StatusText)"
shown "status of dosd: $(get dosd.service StatusText); of peerd@alice: $(get peerd@alice.service StatusText)"
! journalctl -q -b -u peerd@alice.service _COMM=peerd -o cat | grep 'cannot list the addresses' ||
    fail 'the sandbox keeps the addresses of the host from peerd'
python3 /root/picture.py /root/sea.png
must ctl alice add /root/sea.png >/dev/null
must ctl alice share sea bob --views 9 >/dev/null
view() {
    rm -f /root/out.png
    ctl bob view alice/sea -o /root/out.png >/dev/null && cmp /root/sea.png /root/out.png
}
within 20 view
for unit in dosd.service peerd@alice.service peerd@bob.service; do
    process=/proc/$(pid $unit)
    # Real, effective, saved and file system user.
    read -r user < <(awk '/^Uid:/ { print $2, $3, $4, $5 }' "$process/status")
    [ "${user%% *}" -ge 61184 ] && [ "${user%% *}" -le 65519 ] || fail "$unit runs as user $user"
    for line in 'NoNewPrivs:\s1' 'Seccomp:\s2' 'CapEff:\s0000000000000000' 'CapBnd:\s0000000000000000'; do
        grep -qP "^$line$" "$process/status" || fail "$unit: no $line"
    done
    awk '$5 == "/" { print $6 }' "$process/mountinfo" | tail -1 | grep -q '^ro' || fail "$unit can write to /"
    [ -z "$(ls -A "$process/root/home" 2>/dev/null)" ] || fail "$unit sees homes"
done
[ "$(stat -c %a /var/lib/private/dosd)" = 700 ] || fail 'the state directory is open'
shown 'an image registered, added, shared and viewed, all three confined: dynamic user, no capability, seccomp, / read-only'
dosd backup $DOSD_DATA_DIR/copy.db >/dev/null && must dosd check >/dev/null
shown 'a backup into the state directory, and a check'

part 'kill -9'
for unit in dosd.service peerd@bob.service; do
    old=$(pid $unit)
    kill -9 "$old"
    within 15 renewed $unit "$old"
    [ "$(get $unit NRestarts)" = 1 ] || fail "$unit was restarted $(get $unit NRestarts) times"
done
within 40 is dosd.service StatusText '2 sessions'
within 20 view
shown 'dosd and peerd are back by themselves, the peers signed in, the rights still there'

part 'watchdog'
for unit in dosd.service peerd@bob.service; do
    dropin $unit WatchdogSec=2s TimeoutAbortSec=3s
    must systemctl restart $unit
    old=$(pid $unit)
    # Alive, it is left alone for longer than its watchdog waits.
    deadline=$((SECONDS + 4))
    while [ $SECONDS -lt $deadline ]; do
        [ "$(pid $unit)" = "$old" ] || fail "$unit was restarted for nothing"
        sleep 0.2
    done
    kill -STOP "$old"
    within 15 renewed $unit "$old"
    shown "$unit: all of it stopped, restarted after $(get $unit WatchdogUSec)"
    old=$(pid $unit)
    python3 /root/hang.py "$old" writer >/root/held & holder=$!
    within 5 grep -q held /root/held
    within 15 renewed $unit "$old"
    wait $holder
    shown "$unit: only the store's writer stopped, restarted too"
    [ "$(journalctl -q -u $unit --grep 'Watchdog timeout' | wc -l)" = 2 ] || fail "$unit: not the watchdog's doing"
    undo_dropin $unit
    must systemctl restart $unit
done
within 40 is dosd.service StatusText '2 sessions'
within 20 view

part 'reload'
for unit in dosd.service peerd@bob.service; do
    old=$(pid $unit)
    strace -f -qq -e trace=sendto,sendmsg,write -s 80 -o /root/trace -p "$old" & tracer=$!
    within 5 grep -q TracerPid:.*[1-9] "/proc/$old/status"
    must systemctl reload $unit
    within 5 grep -q RELOADING=1.*MONOTONIC_USEC= /root/trace
    within 5 grep -q READY=1 /root/trace
    kill $tracer
    wait $tracer 2>/dev/null
    must is $unit ActiveState active
    [ "$(pid $unit)" = "$old" ] || fail "$unit was restarted by a reload"
done
shown 'reloads are acknowledged (RELOADING=1 MONOTONIC_USEC=..., READY=1), by the same processes'

part 'socket activation'
knock
for _ in 1 2 3; do must systemctl restart dosd.service; done
old=$(pid dosd.service)
kill -9 "$old"
within 15 renewed dosd.service "$old"
nobody_refused 'three restarts and a kill -9'
# Nobody else may connect now: no peer that comes back, nobody who waits in the port's queue still.
must systemctl stop peerd@alice.service peerd@bob.service
queue_is_empty() { [ "$(ss -Hltn 'sport = :5001' | awk '{ print $2 }')" = 0 ]; }
within 10 queue_is_empty
must systemctl stop dosd.service 2>/dev/null
must is dosd.service ActiveState inactive
python3 -c 'import socket; socket.create_connection(("127.0.0.1", 5001)).close()'
within 10 is dosd.service ActiveState active
must systemctl start peerd@alice.service peerd@bob.service
within 40 is dosd.service StatusText '2 sessions'
shown 'a connection starts a dosd that is not there; the peers are back'

part 'journal'
copy=$(find /var/lib/private/dos/peers/bob -type f -size +500k ! -name '*.db*' | head -1)
[ -n "$copy" ] || fail 'bob has no sealed copy'
must systemctl stop peerd@bob.service
rm "$copy"
must systemctl start peerd@bob.service
journalctl --sync
journalctl -q -b -u peerd@bob.service -p warning _COMM=peerd -o cat --grep 'a sealed copy is missing' | grep -q '^peerd' ||
    fail "no warning: $(journalctl -q -u peerd@bob.service -p warning -o short)"
! journalctl -q -u peerd@bob.service -p err _COMM=peerd -o cat | grep . || fail 'errors in the journal'
line=$(journalctl -q -u dosd.service _COMM=dosd -p info..info -o cat --grep 'the directory is open' | tail -1)
[[ $line == 'dosd: the directory is open '* ]] || fail "a line is not as it should be: $line"
shown "priorities are kept; a line: $line"
# A new copy comes by itself.
within 40 online bob
within 20 view

part 'stop'
for unit in peerd@bob.service peerd@alice.service; do
    start=${EPOCHREALTIME/./}
    must systemctl stop $unit
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    is $unit Result success && is $unit ExecMainStatus 0 && [ $took -lt 5000 ] || fail "$unit: $took ms, $(get $unit Result)"
done
must systemctl start peerd@alice.service peerd@bob.service
within 40 is dosd.service StatusText '2 sessions'
start=${EPOCHREALTIME/./}
must systemctl stop dosd.socket dosd.service
took=$(((${EPOCHREALTIME/./} - start) / 1000))
is dosd.service Result success && is dosd.service ExecMainStatus 0 && [ $took -lt 5000 ] || fail "dosd: $took ms"
# By root, on the files: they must stay the server's.
must dosd check >/dev/null
must systemctl start dosd.service
within 40 is dosd.service StatusText '2 sessions'
shown "exit code 0, dosd with two sessions after $took ms; checked while it was stopped, and started again"

part 'daemons of users'
within 20 is user@1000.service ActiveState active
as_tester() { runuser -u tester -- env -C /home/tester XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/tester "$@"; }
must uctl enable --now peerd@default.service 2>/dev/null
must as_tester dosctl status >/dev/null 2>&1
must as_tester dosctl register --server "$(dosd link)" --name carol >/dev/null
uctl show --value -p StatusText peerd@default.service | grep -q '^online as .*(carol)$' || fail 'no status'
must ctl alice share sea carol --views 1 >/dev/null
must as_tester dosctl wait --state online >/dev/null
within 20 as_tester dosctl view alice/sea -o carol.png
must cmp /root/sea.png /home/tester/carol.png
old=$(uctl show --value -p MainPID peerd@default.service)
kill -9 "$old"
user_renewed() { [ "$(uctl show --value -p ActiveState peerd@default.service)" = active ] && [ "$(uctl show --value -p MainPID peerd@default.service)" != "$old" ]; }
within 15 user_renewed
must as_tester dosctl status >/dev/null 2>&1
must uctl disable --now peerd@default.service 2>/dev/null
shown "a user's own daemon: started, signed in, an image viewed, restarted after kill -9, stopped"
dropin peerd@dave.service User=tester
must systemctl start peerd@dave.service
must as_tester dosctl --socket /run/dos/dave/control.sock status >/dev/null 2>&1
! as_tester dosctl --socket /run/dos/alice/control.sock status >/dev/null 2>&1 || fail "a user may drive somebody else's daemon"
must systemctl stop peerd@dave.service
undo_dropin peerd@dave.service
shown "a daemon of the system that is given to a user (User=) is driven by that user; others' are not"

part 'upgrade'
must systemctl enable --quiet peerd@alice.service
port=$(get dosd.socket ActiveEnterTimestampMonotonic)
server=$(pid dosd.service) peer=$(pid peerd@alice.service)
echo '# mine' >>/etc/dos/dosd.toml
knock
must dpkg -i /opt/dos/*.deb >/root/dpkg.log 2>&1 || cat /root/dpkg.log
renewed dosd.service "$server" || fail 'dosd runs the old program'
renewed peerd@alice.service "$peer" || fail 'peerd runs the old program'
[ "$(get dosd.socket ActiveEnterTimestampMonotonic)" = "$port" ] || fail 'the port was closed'
nobody_refused 'installed again'
grep -q '# mine' /etc/dos/dosd.toml || fail 'the settings are lost'
within 40 is dosd.service StatusText '2 sessions'
within 20 view
left=$(ctl bob shares --json | tr -d ' \n' | sed -n 's/.*"views_left":\([0-9]*\).*/\1/p')
shown "restarted, settings and state kept: bob has $left of 9 views left"

part 'remove and purge'
must dpkg --remove dos-server dos-peer >/dev/null 2>&1
[ -e /var/lib/private/dosd/dosd.db ] && [ -e /etc/dos/dosd.toml ] || fail 'a removal has deleted state'
! pgrep -x 'dosd|peerd' >/dev/null || fail 'something still runs'
must dpkg -i /opt/dos/*.deb >/dev/null 2>&1
dosd peers --json | grep -q alice || fail 'the peers are lost'
must is peerd@alice.service UnitFileState enabled
shown 'removed with state kept, and installed again'
must dpkg --purge dos-server dos-peer >/root/dpkg.log 2>&1 || cat /root/dpkg.log
! pgrep -x 'dosd|peerd' >/dev/null || fail 'something still runs'
rm -rf /run/systemd/system/*.d
systemctl daemon-reload
systemctl reset-failed
files | comm -13 /root/before - | grep -vE '^/root/|^/var/lib/private$|^/var/lib/systemd/(deb-systemd-helper-(enabled|masked)$)' >/root/left
[ ! -s /root/left ] || fail "left behind: $(cat /root/left)"
getent passwd | diff /root/users-before - || fail 'users are left behind'
[ -z "$(systemctl list-units --all --no-legend 'dosd*' 'peerd@*')" ] || fail "$(systemctl list-units --all --no-legend 'dosd*' 'peerd@*')"
[ -z "$(systemctl list-unit-files --no-legend 'dosd*' 'peerd@*')" ] || fail "$(systemctl list-unit-files --no-legend 'dosd*' 'peerd@*')"
! python3 -c 'import socket; socket.create_connection(("127.0.0.1", 5001))' 2>/dev/null || fail 'the port is open'
shown 'purged: no file, unit, user or process is left'

printf '\nall shown after %d s\n' $((SECONDS - began))
