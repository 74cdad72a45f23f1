import { INSTALL_HINT, INSTALL_LINES } from "../src/postgres/programs.ts";

/** What is known of the machine before PostgreSQL's programs are installed on it. */
export interface InstallFacts {
  /** An installation that can run servers and dump them is there. */
  readonly isInstalled: boolean;
  /** Debian or a system made from it, with apt-get on the PATH. */
  readonly hasApt: boolean;
  /** By what right packages can be installed without asking anybody. */
  readonly right: "root" | "sudo" | "none";
}

/** One command; `input` goes to its standard input. */
export interface InstallStep {
  readonly command: readonly [program: string, ...programArguments: string[]];
  readonly input?: string;
}

export type InstallPlan =
  | { readonly action: "nothing" }
  /** `steps` in order, up to the first that fails; `afterwards` in every case. */
  | { readonly action: "install"; readonly steps: readonly InstallStep[]; readonly afterwards: readonly InstallStep[] }
  | { readonly action: "refuse"; readonly message: string };

/** Read by the packages as they are configured: no cluster is made, and no server started, that nobody asked for. */
const CLUSTER_FOLDER = "/etc/postgresql-common/createcluster.d";
const CLUSTER_FILE = `${CLUSTER_FOLDER}/tidemark-install.conf`;
const CLUSTER_SETTING = "create_main_cluster = false\n";

/** Another program may be installing packages just now: a fresh machine updates itself. */
const APT_LOCK_TIMEOUT_S = 300;

/** Decides what to do on such a machine. Pure. */
export function planInstall({ isInstalled, hasApt, right }: InstallFacts): InstallPlan {
  if (isInstalled) return { action: "nothing" };
  if (!hasApt) return { action: "refuse", message: `PostgreSQL is not installed. ${INSTALL_HINT}` };
  if (right === "none") {
    const message = `PostgreSQL is not installed, and this user may not install it (neither root nor sudo without a password).\nRun: ${INSTALL_LINES.debian}\n\n${INSTALL_HINT}`;
    return { action: "refuse", message };
  }
  const apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`];
  const steps: InstallStep[] = [
    asRoot(right, ["mkdir", "-p", CLUSTER_FOLDER]),
    { ...asRoot(right, ["tee", CLUSTER_FILE]), input: CLUSTER_SETTING },
    asRoot(right, [...apt, "update"]),
    asRoot(right, [...apt, "install", "-y", "--no-install-recommends", "postgresql"]),
  ];
  return { action: "install", steps, afterwards: [asRoot(right, ["rm", "-f", CLUSTER_FILE])] };
}

function asRoot(right: "root" | "sudo", words: readonly string[]): InstallStep {
  const [program = "", ...programArguments] = right === "sudo" ? ["sudo", "-n", ...words] : words;
  return { command: [program, ...programArguments] };
}
