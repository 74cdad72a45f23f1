import { type ServiceUser } from "../instances/service-user.ts";

/** Kept back behind everything else on the machine, since databases run on it too: priority, and who goes first when memory runs out. */
const NICENESS = 10;
const OUT_OF_MEMORY_SCORE = 1000;
const OPEN_FILES_MAX = 1024;
/**
 * What a Node.js program maps without using it. A process may have this much data on top of the memory of its one-off; how much is really used is
 * watched for all processes together.
 */
const RESERVED_DATA_BYTES = 768 * 1024 * 1024;

/** Something that the service user may be unable to reach where it lies, mounted where that user can. */
export interface Mount {
  readonly from: string;
  readonly to: string;
}

/**
 * Mounts in a mount namespace of its own, which ends with the command, then runs it. Every program on the way replaces itself by the next, so that one
 * process is started, which the sandbox can hang its life on.
 */
const MOUNT_SCRIPT = 'set -e; while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"';

/** The whole command line that starts `bwrap` as the service user under limits. Pure. */
export function launchCommand({
  user,
  mounts,
  bwrap,
  bwrapArguments,
  memoryBytesMax,
  fileBytesMax,
}: {
  readonly user: ServiceUser;
  /** Made by root alone; without root nothing has to be. */
  readonly mounts: readonly Mount[];
  readonly bwrap: string;
  readonly bwrapArguments: readonly string[];
  readonly memoryBytesMax: number;
  readonly fileBytesMax: number;
}): string[] {
  const limits = [
    `--data=${memoryBytesMax + RESERVED_DATA_BYTES}`,
    `--fsize=${fileBytesMax}`,
    `--nofile=${OPEN_FILES_MAX}`,
    "--core=0",
    "--memlock=0",
  ];
  const asServiceUser = [
    "setpriv",
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    "--clear-groups",
    "--no-new-privs",
    "--",
  ];
  const withMounts = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT_SCRIPT, "sh"];
  const groups: readonly (readonly string[])[] = [
    user.isSwitchedFromRoot ? [...withMounts, ...mounts.flatMap(({ from, to }) => [from, to]), "--"] : [],
    ["nice", "-n", String(NICENESS), "choom", "-n", String(OUT_OF_MEMORY_SCORE), "--"],
    ["prlimit", ...limits, "--"],
    user.isSwitchedFromRoot ? asServiceUser : [],
    [bwrap, ...bwrapArguments],
  ];
  return groups.flat();
}
