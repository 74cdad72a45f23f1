import { INSTALL_HINT, INSTALL_LINES } from "../src/postgres/programs.ts";

/** A package of the system that we use, and what is missing without it. */
export interface SystemPackage {
  /** Debian's and Ubuntu's name of it. */
  readonly name: string;
  /** The platform doesn't start without it. What is only wanted may be missing: that is said, and no more. */
  readonly isNeeded: boolean;
  /** The programs that it brings: any one of them on the PATH means that it is there. Empty for PostgreSQL, which is looked for elsewhere too. */
  readonly programs: readonly string[];
  /** What doesn't work without it, as the beginning of a sentence. */
  readonly missingWithout: string;
}

/** Order of installation. `npm start` asks for the first two, `npm test` for all. */
export const PACKAGES = {
  postgresql: { name: "postgresql", isNeeded: true, programs: [], missingWithout: "The platform" },
  bubblewrap: { name: "bubblewrap", isNeeded: false, programs: ["bwrap"], missingWithout: "One-off containers" },
  openssh: {
    name: "openssh-client",
    isNeeded: false,
    programs: ["ssh"],
    missingWithout: "Tests with OpenSSH's client",
  },
  chromium: {
    name: "chromium",
    isNeeded: false,
    programs: ["chromium", "chromium-browser", "google-chrome"],
    missingWithout: "Tests of the dashboard in a browser",
  },
} as const satisfies Record<string, SystemPackage>;

/** What is known of the machine before packages are installed on it. */
export interface InstallFacts {
  /** Those of `PACKAGES` that are asked for and not there. */
  readonly missing: readonly SystemPackage[];
  /** Debian or a system made from it, with apt-get on the PATH. */
  readonly hasApt: boolean;
  /** By what right packages can be installed without asking anybody. */
  readonly right: "root" | "sudo" | "none";
}

/** One command; `input` goes to its standard input. */
export interface InstallStep {
  readonly command: readonly [program: string, ...programArguments: string[]];
  readonly input?: string;
  /** What it installs; undefined for a step that prepares the others. */
  readonly installs?: SystemPackage;
}

export type InstallPlan =
  | { readonly action: "nothing" }
  /** Nothing can be installed, and nothing that is missing is needed. */
  | { readonly action: "warn"; readonly warnings: readonly string[] }
  /** `steps` in order, up to the first that fails for a needed package; `afterwards` in every case. */
  | { readonly action: "install"; readonly steps: readonly InstallStep[]; readonly afterwards: readonly InstallStep[] }
  | { readonly action: "refuse"; readonly message: string };

/** Read by the packages as they are configured: no cluster is made, and no server started, that nobody asked for. */
const CLUSTER_FOLDER = "/etc/postgresql-common/createcluster.d";
const CLUSTER_FILE = `${CLUSTER_FOLDER}/tidemark-install.conf`;
const CLUSTER_SETTING = "create_main_cluster = false\n";

/** Another program may be installing packages just now: a fresh machine updates itself. */
const APT_LOCK_TIMEOUT_S = 300;

/** Decides what to do on such a machine. Pure. */
export function planInstall({ missing, hasApt, right }: InstallFacts): InstallPlan {
  if (missing.length === 0) return { action: "nothing" };
  const withPostgresql = missing.some((each) => each.name === PACKAGES.postgresql.name);
  if (!hasApt || right === "none") {
    if (withPostgresql) return { action: "refuse", message: refusal({ hasApt }) };
    return { action: "warn", warnings: missing.map(warningOf) };
  }
  const apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`];
  const clusterSteps: InstallStep[] = [
    { command: asRoot(right, ["mkdir", "-p", CLUSTER_FOLDER]) },
    { command: asRoot(right, ["tee", CLUSTER_FILE]), input: CLUSTER_SETTING },
  ];
  const installSteps = missing.map((each): InstallStep => ({
    // One call for each: a package that this release doesn't have takes no other with it.
    command: asRoot(right, [...apt, "install", "-y", "--no-install-recommends", each.name]),
    installs: each,
  }));
  return {
    action: "install",
    steps: [...(withPostgresql ? clusterSteps : []), { command: asRoot(right, [...apt, "update"]) }, ...installSteps],
    afterwards: withPostgresql ? [{ command: asRoot(right, ["rm", "-f", CLUSTER_FILE]) }] : [],
  };
}

/** What doesn't work while a wanted package is missing, and the line that installs it. */
export function warningOf({ name, missingWithout }: SystemPackage): string {
  return `${missingWithout} won't work: ${name} is not installed. On Debian or Ubuntu: sudo apt-get install -y --no-install-recommends ${name}`;
}

function refusal({ hasApt }: { hasApt: boolean }): string {
  if (!hasApt) return `PostgreSQL is not installed. ${INSTALL_HINT}`;
  return `PostgreSQL is not installed, and this user may not install it (neither root nor sudo without a password).\nRun: ${INSTALL_LINES.debian}\n\n${INSTALL_HINT}`;
}

function asRoot(right: "root" | "sudo", words: readonly string[]): InstallStep["command"] {
  const [program = "", ...programArguments] = right === "sudo" ? ["sudo", "-n", ...words] : words;
  return [program, ...programArguments];
}
