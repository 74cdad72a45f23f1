import { join } from "node:path";

/** Names and values of the process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line takes from the environment. An empty variable counts as unset. */
export interface Settings {
  readonly app: string | undefined;
  readonly addon: string | undefined;
  readonly url: string | undefined;
  readonly token: string | undefined;
  /** Of the original client; its token is used together with its address only. */
  readonly scalingoUrl: string | undefined;
  readonly scalingoToken: string | undefined;
  /** The platform's home on this machine: its `local.json` logs in whoever may read it. */
  readonly platformHome: string;
  /** Of a platform on this machine. */
  readonly repositoryFolder: string;
  /** Folder of PostgreSQL's programs, when the operator names one. */
  readonly postgresqlBin: string | undefined;
  /** Where programs are looked for. */
  readonly programPath: string;
  readonly loginFile: string;
  /** The user's own folder. */
  readonly userHome: string;
  /** Where the user's SSH agent listens. */
  readonly sshAgentSocket: string | undefined;
  /** Of `TZ`; undefined when unset, and "" (which means UTC) when empty. */
  readonly timeZone: string | undefined;
  readonly coloursWanted: boolean;
  /** What kind of terminal this is, as programs ask for it. */
  readonly terminalType: string | undefined;
}

/** All variables that the command line reads, for its reference. */
export const VARIABLES: readonly { readonly name: string; readonly meaning: string }[] = [
  { name: "TIDEMARK_APP, SCALINGO_APP", meaning: "App to work on when --app is not given" },
  { name: "TIDEMARK_ADDON, SCALINGO_ADDON", meaning: "Database to work on when --addon is not given" },
  { name: "TIDEMARK_URL", meaning: "Address of the platform, such as http://127.0.0.1:8420" },
  { name: "TIDEMARK_TOKEN", meaning: "API token to log in with" },
  { name: "SCALINGO_AUTH_URL, SCALINGO_API_TOKEN", meaning: "The same two; the token is used with this address only" },
  { name: "TIDEMARK_HOME", meaning: "Home of a platform on this machine, whose `local.json` logs in" },
  { name: "TIDEMARK_REPOSITORY", meaning: "Repository of a platform on this machine (`repository` in its home)" },
  {
    name: "TIDEMARK_POSTGRESQL_BIN",
    meaning: "Folder of PostgreSQL's programs, for commands that run without a platform",
  },
  { name: "XDG_CONFIG_HOME", meaning: "Folder that holds the folder of the saved login (`~/.config`)" },
  { name: "SSH_AUTH_SOCK", meaning: "SSH agent that holds the key for tunnels and for `login --ssh`" },
  { name: "TZ", meaning: "Time zone in which dates are shown" },
  { name: "NO_COLOR", meaning: "When not empty: no colours on a terminal" },
];

/** `userHome` is the user's own folder, `defaultHome` the platform's home when `TIDEMARK_HOME` doesn't say. */
export function readSettings(
  environment: Environment,
  { userHome, defaultHome }: { userHome: string; defaultHome: string },
): Settings {
  const read = (name: string): string | undefined => environment[name] || undefined;
  const platformHome = read("TIDEMARK_HOME") ?? defaultHome;
  return {
    app: read("TIDEMARK_APP") ?? read("SCALINGO_APP"),
    addon: read("TIDEMARK_ADDON") ?? read("SCALINGO_ADDON"),
    url: read("TIDEMARK_URL"),
    token: read("TIDEMARK_TOKEN"),
    scalingoUrl: read("SCALINGO_AUTH_URL"),
    scalingoToken: read("SCALINGO_API_TOKEN"),
    platformHome,
    repositoryFolder: read("TIDEMARK_REPOSITORY") ?? join(platformHome, "repository"),
    postgresqlBin: read("TIDEMARK_POSTGRESQL_BIN"),
    programPath: read("PATH") ?? "/usr/bin:/bin",
    loginFile: join(read("XDG_CONFIG_HOME") ?? join(userHome, ".config"), "tidemark", "auth.json"),
    userHome,
    sshAgentSocket: read("SSH_AUTH_SOCK"),
    timeZone: environment["TZ"],
    coloursWanted: read("NO_COLOR") === undefined && environment["TERM"] !== "dumb",
    terminalType: read("TERM"),
  };
}
