#!/bin/sh
# What stands for systemd where none runs: service.sh start|stop|restart|active, of the agent below $ROOT.
set -eu
pid=$ROOT/agent.pid
case $1 in
    start)
        nohup setsid "$ROOT/opt/edge-agent/current/bin/edge-agent" run --config "$ROOT/etc/edge-agent/agent.toml" \
            --socket "$ROOT/run/edge-agent/control.sock" >>"$ROOT/agent.log" 2>&1 &
        echo $! >"$pid"
        ;;
    stop)
        [ -f "$pid" ] || exit 0
        kill "$(cat "$pid")" 2>/dev/null || true
        timeout 10 tail --pid "$(cat "$pid")" -s 0.1 -f /dev/null
        rm "$pid"
        ;;
    restart)
        "$0" stop
        "$0" start
        ;;
    active) [ -f "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null ;;
esac
