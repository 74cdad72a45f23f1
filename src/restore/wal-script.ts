/**
 * Body of restore_command: `fetch-wal NAME PATH`, in the folder of a `WalFeed`. A process of our own for each segment would cost 50 ms; renaming costs one.
 *
 * Exit codes, https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-RESTORE-COMMAND: 0 the file is there; 1 the repository has none of this
 * name, which ends recovery; above 125 the server stops with an error.
 */
export const WAL_SCRIPT = `#!/bin/sh
folder=$(dirname "$0")
case "$1" in
*.history)
  [ -d "$folder/histories" ] || exit 200
  [ -f "$folder/histories/$1" ] || exit 1
  cp "$folder/histories/$1" "$2" || exit 200
  exit 0
  ;;
esac
mv "$folder/wal/$1" "$2" 2>/dev/null && exit 0
grep -q -x "$1" "$folder/names"
case $? in
0) ;;
1) exit 1 ;;
*) exit 200 ;;
esac
: > "$folder/wanted/$1" || exit 200
pid=$(cat "$folder/pid") || exit 200
until mv "$folder/wal/$1" "$2" 2>/dev/null; do
  [ -e "$folder/ended" ] && exit 200
  if [ -d /proc/self ]; then [ -d "/proc/$pid" ] || exit 200; else ps -p "$pid" > /dev/null || exit 200; fi
  sleep 0.05
done
exit 0
`;
