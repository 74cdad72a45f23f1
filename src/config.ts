import { homedir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import { TidemarkError } from "./core/errors.ts";

/** Settings of `tidemark serve`, read once and frozen. Every variable is in docs/operating/configuration.md. */
export interface ServeConfig {
  readonly home: string;
  readonly repositoryFolder: string;
  readonly httpPort: number;
  readonly bind: string;
  /** Files of a certificate and its key, PEM; null serves plain HTTP. */
  readonly tls: { readonly certificateFile: string; readonly keyFile: string } | null;
  readonly behindProxy: boolean;
  readonly publicUrl: string;
  readonly sshBind: string;
  readonly sshPort: number;
  readonly databaseBind: string;
  readonly databasePorts: { readonly first: number; readonly last: number };
  /** Null: the platform starts a private PostgreSQL for its control database. */
  readonly controlDatabaseUrl: string | null;
  /** Databases' host names end with it; null: 127.0.0.1 stands in connection URIs. */
  readonly domain: string | null;
  readonly sample: boolean;
  /** JSON with the operator's own plans; null for none. */
  readonly plansFile: string | null;
  /** A folder with PostgreSQL's programs, searched first. */
  readonly postgresqlBin: string | null;
  /** Bytes a second that a base backup may read from a server; null for no limit. */
  readonly baseBackupRateBytes: number | null;
  /** How long a commit may wait for the next piece of log to be stored. */
  readonly walPieceIntervalMs: number;
  /** Null: no mail is sent. */
  readonly mail: MailConfig | null;
  /** Whether notifications may go to addresses inside this machine or a private network. */
  readonly notifiesPrivateTargets: boolean;
  /** Where programs are searched, and where the user's sockets may lie: the caller's own PATH and XDG_RUNTIME_DIR. */
  readonly path: string;
  readonly userRuntimeFolder: string | null;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** How mail leaves the platform. */
export interface MailConfig {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte; otherwise STARTTLS. */
  readonly isTlsFromStart: boolean;
  /** Without TLS no mail is sent: so wherever a password would travel beyond this machine. */
  readonly needsTls: boolean;
  readonly login: { readonly user: string; readonly password: string } | null;
  /** PEM file of the authority behind the server's certificate; null for a public one. */
  readonly caFile: string | null;
  /** `Tidemark <backups@example.com>` */
  readonly from: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const BYTES_PER_MIB = 1024 ** 2;
const MS_PER_SECOND = 1000;

const port = z.coerce.number().int().min(1).max(65_535);
const flag = z.enum(["0", "1"]).transform((text) => text === "1");
const url = z
  .string()
  .regex(/^https?:\/\/[^/?#\s]+$/, "give scheme, host and port only, such as https://backups.example.com")
  .transform((text) => text.replace(/\/+$/, ""));
const portRange = z
  .string()
  .regex(/^\d+-\d+$/, "give two ports joined by a hyphen, such as 15432-16431")
  .transform((text) => text.split("-").map(Number))
  .refine(
    ([first = 0, last = 0]) => first >= 1 && first <= last && last <= 65_535,
    "the first port must not be above the last",
  )
  .transform(([first = 0, last = 0]) => ({ first, last }));

const serveVariables = z.object({
  TIDEMARK_HOME: z.string().min(1).optional(),
  TIDEMARK_REPOSITORY: z.string().min(1).optional(),
  TIDEMARK_HTTP_PORT: port.default(8420),
  TIDEMARK_BIND: z.string().min(1).default("127.0.0.1"),
  TIDEMARK_TLS_CERT: z.string().min(1).optional(),
  TIDEMARK_TLS_KEY: z.string().min(1).optional(),
  TIDEMARK_BEHIND_PROXY: flag.default(false),
  TIDEMARK_PUBLIC_URL: url.optional(),
  TIDEMARK_SSH_BIND: z.string().min(1).optional(),
  TIDEMARK_SSH_PORT: port.default(8422),
  TIDEMARK_DATABASE_BIND: z.string().min(1).default("127.0.0.1"),
  TIDEMARK_DATABASE_PORTS: portRange.default({ first: 15_432, last: 16_431 }),
  TIDEMARK_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "give a URI that starts with postgresql://")
    .refine((text) => URL.canParse(text), "give a URI; in a password, % / ? # [ ] @ : are written as %25 and so on")
    .optional(),
  TIDEMARK_DOMAIN: z
    .string()
    .regex(/^[a-z0-9.-]+$/, "give a domain name, such as db.example.com")
    .optional(),
  TIDEMARK_SAMPLE: flag.default(true),
  TIDEMARK_PLANS_FILE: z.string().min(1).optional(),
  TIDEMARK_POSTGRESQL_BIN: z.string().min(1).optional(),
  TIDEMARK_BASE_BACKUP_RATE: z.coerce.number().int().min(1).max(1024).optional(),
  TIDEMARK_WAL_INTERVAL: z.coerce.number().min(0.1).max(60).default(1),
  TIDEMARK_SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\/[^/?#\s]+\/?$/, "give smtp://USER:PASSWORD@HOST:587, or smtps:// for TLS from the start")
    .refine(
      (text) => URL.canParse(text) && isDecodable(text),
      "in a password, % / ? # [ ] @ : are written as %25 and so on",
    )
    .optional(),
  TIDEMARK_SMTP_CA: z.string().min(1).optional(),
  TIDEMARK_MAIL_FROM: z
    .string()
    .regex(
      /^([^<>@\r\n]*<[^\s@<>]+@[^\s@<>]+>|[^\s@<>]+@[^\s@<>]+)$/,
      "give a mail address, such as Tidemark <backups@example.com>",
    )
    .optional(),
  TIDEMARK_NOTIFY_PRIVATE: flag.default(false),
  TIDEMARK_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

/** Names of all variables that `serve` reads, for the reference in docs. */
export const SERVE_VARIABLES: readonly string[] = Object.keys(serveVariables.shape);

/** Addresses with a password in them, which no error repeats. */
const HOLDS_PASSWORD = new Set(["TIDEMARK_DATABASE_URL", "TIDEMARK_SMTP_URL"]);
/** Ports of mail submission (RFC 6409, RFC 8314). */
const SUBMISSION_PORT = 587;
const SUBMISSIONS_PORT = 465;

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** The process's own environment. Nothing else in the program reads it. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Where a platform of this user lives when `TIDEMARK_HOME` doesn't say. */
export function defaultHome(): string {
  return userInfo().uid === 0 ? "/var/lib/tidemark" : join(homedir(), ".local/share/tidemark");
}

/**
 * Settings of `serve` from the environment. An empty variable counts as unset.
 * `config_invalid` names the variable, its value and what it must be.
 */
export function readServeConfig(environment: Environment): ServeConfig {
  const set = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = serveVariables.safeParse(set);
  if (!parsed.success) throw invalidVariable(parsed.error.issues[0], set);
  const read = parsed.data;
  const home = resolve(read.TIDEMARK_HOME ?? defaultHome());
  if (read.TIDEMARK_HOME !== undefined && !isAbsolute(read.TIDEMARK_HOME)) {
    throw new TidemarkError(
      "config_invalid",
      `TIDEMARK_HOME is "${read.TIDEMARK_HOME}", which is not an absolute path`,
    );
  }
  const tls = readTls(read.TIDEMARK_TLS_CERT, read.TIDEMARK_TLS_KEY);
  refuseOpenPlainHttp(read.TIDEMARK_BIND, { tls: tls !== null, behindProxy: read.TIDEMARK_BEHIND_PROXY });
  const scheme = tls === null ? "http" : "https";
  return Object.freeze({
    home,
    repositoryFolder: resolve(read.TIDEMARK_REPOSITORY ?? join(home, "repository")),
    httpPort: read.TIDEMARK_HTTP_PORT,
    bind: read.TIDEMARK_BIND,
    tls,
    behindProxy: read.TIDEMARK_BEHIND_PROXY,
    publicUrl: read.TIDEMARK_PUBLIC_URL ?? `${scheme}://127.0.0.1:${read.TIDEMARK_HTTP_PORT}`,
    sshBind: read.TIDEMARK_SSH_BIND ?? read.TIDEMARK_BIND,
    sshPort: read.TIDEMARK_SSH_PORT,
    databaseBind: read.TIDEMARK_DATABASE_BIND,
    databasePorts: read.TIDEMARK_DATABASE_PORTS,
    controlDatabaseUrl: read.TIDEMARK_DATABASE_URL ?? null,
    domain: read.TIDEMARK_DOMAIN ?? null,
    sample: read.TIDEMARK_SAMPLE,
    plansFile: read.TIDEMARK_PLANS_FILE === undefined ? null : resolve(read.TIDEMARK_PLANS_FILE),
    postgresqlBin: read.TIDEMARK_POSTGRESQL_BIN ?? null,
    baseBackupRateBytes:
      read.TIDEMARK_BASE_BACKUP_RATE === undefined ? null : read.TIDEMARK_BASE_BACKUP_RATE * BYTES_PER_MIB,
    walPieceIntervalMs: Math.round(read.TIDEMARK_WAL_INTERVAL * MS_PER_SECOND),
    mail: readMail(read),
    notifiesPrivateTargets: read.TIDEMARK_NOTIFY_PRIVATE,
    path: environment["PATH"] ?? "/usr/bin:/bin",
    userRuntimeFolder: environment["XDG_RUNTIME_DIR"] || null,
    logLevel: read.TIDEMARK_LOG_LEVEL,
  });
}

function invalidVariable(
  issue: { readonly path: readonly PropertyKey[]; readonly message: string } | undefined,
  set: Record<string, string | undefined>,
): TidemarkError {
  const name = String(issue?.path[0]);
  const shown = HOLDS_PASSWORD.has(name) ? "" : ` is "${set[name] ?? ""}"`;
  return new TidemarkError("config_invalid", `${name}${shown}: ${issue?.message ?? "not allowed"}`, {
    hint: "Every setting is explained in docs/operating/configuration.md.",
  });
}

function readTls(certificateFile: string | undefined, keyFile: string | undefined): ServeConfig["tls"] {
  if (certificateFile === undefined && keyFile === undefined) return null;
  if (certificateFile === undefined || keyFile === undefined) {
    throw new TidemarkError(
      "config_invalid",
      "TIDEMARK_TLS_CERT and TIDEMARK_TLS_KEY belong together, and only one is set",
    );
  }
  return { certificateFile, keyFile };
}

/** Passwords and tokens travel over this socket: in clear only inside the machine. */
function refuseOpenPlainHttp(bind: string, { tls, behindProxy }: { tls: boolean; behindProxy: boolean }): void {
  if (LOOPBACK.has(bind) || tls || behindProxy) return;
  throw new TidemarkError(
    "config_invalid",
    `TIDEMARK_BIND is "${bind}", which other machines can reach, and there is no TLS`,
    {
      hint: "Set TIDEMARK_TLS_CERT and TIDEMARK_TLS_KEY, or TIDEMARK_BEHIND_PROXY=1 if a proxy in front of it does TLS.",
    },
  );
}

function readMail(read: z.infer<typeof serveVariables>): MailConfig | null {
  if (read.TIDEMARK_SMTP_URL === undefined) return null;
  if (read.TIDEMARK_MAIL_FROM === undefined) {
    throw new TidemarkError("config_invalid", "TIDEMARK_SMTP_URL is set, and TIDEMARK_MAIL_FROM is not", {
      hint: "Say from which address mail comes, such as TIDEMARK_MAIL_FROM=backups@example.com.",
    });
  }
  const { protocol, hostname, port: portText, username, password } = new URL(read.TIDEMARK_SMTP_URL);
  const isTlsFromStart = protocol === "smtps:";
  const login = username === "" ? null : { user: decodeURIComponent(username), password: decodeURIComponent(password) };
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: portText === "" ? (isTlsFromStart ? SUBMISSIONS_PORT : SUBMISSION_PORT) : Number(portText),
    isTlsFromStart,
    needsTls: login !== null && !LOOPBACK.has(hostname),
    login,
    caFile: read.TIDEMARK_SMTP_CA ?? null,
    from: read.TIDEMARK_MAIL_FROM,
  };
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false; // a % that begins no escape is its only failure
  }
}
