import { join } from "node:path";
import type { Connection } from "../postgres/connection.ts";
import type { Programs } from "../postgres/programs.ts";
import type { ServiceUser } from "./service-user.ts";

/**
 * Everything that one PostgreSQL server on this machine is made of. Plain data: the same definition finds a running
 * server again.
 */
export interface ServerDefinition {
  /** For messages: `control`, `my_app_4553`. */
  readonly name: string;
  readonly programs: Programs;
  readonly user: ServiceUser;
  /** Holds `conf`, `log` and `tls`; as a rule also the data. Absolute. */
  readonly folder: string;
  /** Absolute, no trailing slash. Never holds a setting of ours: a base backup would carry it. */
  readonly dataFolder: string;
  readonly socketFolder: string;
  readonly port: number;
  /** `127.0.0.1`, `*`; empty for a server that is reached by its socket only. */
  readonly listenAddresses: string;
  /** For postgresql.conf, beside what every server gets. */
  readonly settings: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf that follow the superuser's own. */
  readonly accessRules: readonly string[];
  /** Given as `-c` at the start, above every file: where settings of a recovery go. */
  readonly commandLineSettings?: Readonly<Record<string, string>>;
}

/**
 * The bootstrap superuser of every server. It has no password anywhere: the socket knows the platform by its system
 * user.
 */
export const SUPERUSER = "tidemark";

export function confFolder(server: ServerDefinition): string {
  return join(server.folder, "conf");
}

export function logFile(server: Pick<ServerDefinition, "folder">): string {
  return join(server.folder, "log", "postgresql.log");
}

/** How the platform itself, or a program run as the service user, reaches the server with all rights. */
export function superuserConnection(
  server: Pick<ServerDefinition, "socketFolder" | "port">,
  database = "postgres",
): Connection {
  return { host: server.socketFolder, port: server.port, user: SUPERUSER, database };
}
