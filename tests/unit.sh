#!/usr/bin/env bash
# One program of unit tests, whose lines come together when it has ended: several run at once (run.sh).
program=$1
told=$(timeout 300 "$program" 2>&1)
status=$?
[ $status -ne 124 ] || told+=$'\n'"not ok $program: not within 300 s"
exec 9<"$0" && flock 9
printf '%s\n' "$told"
exit $status
