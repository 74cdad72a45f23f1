/** One row of the import table: what a part of `src/` may import besides itself. */
export interface ImportRule {
  readonly part: string;
  readonly mayImport: readonly string[];
  readonly reason: string;
}

const row = (part: string, mayImport: readonly string[], reason: string): ImportRule => ({ part, mayImport, reason });

/**
 * Which part of `src/` (a folder, or a file at its top) may import which other: the only copy of these rules. `test/architecture.test.ts` fails on any
 * other edge; ARCHITECTURE.md shows the same table, and a test compares the two.
 */
export const IMPORT_TABLE: readonly ImportRule[] = [
  row("core", [], "the vocabulary that all others share"),
  row("postgres", ["core"], "knows PostgreSQL, and nothing of backups"),
  row("storage", ["core"], "named bytes, with no idea of their meaning"),
  row("stream", ["core"], "bytes to bytes; knows neither where they come from nor where they go"),
  row("policy", ["core"], "pure decisions: facts and the time come in as arguments"),
  row("repository", ["core", "storage", "stream"], "our format on a store: readable with the store and a key alone"),
  row("capture", ["core", "postgres", "stream", "repository"], "from PostgreSQL into the repository"),
  row("restore", ["core", "postgres", "stream", "repository"], "from the repository into PostgreSQL"),
  row("keys", ["core", "stream"], "who can open what; files of keys, not of data"),
  row("notify", ["core"], "carries an event outside; what happened is told to it"),
  row("instances", ["core", "postgres"], "servers on this machine; works without any repository"),
  row("oneoffs", ["core", "postgres", "instances"], "commands in sandboxes; knows no app and no user of ours"),
  row(
    "control",
    [
      "core",
      "policy",
      "postgres",
      "storage",
      "repository",
      "keys",
      "capture",
      "restore",
      "instances",
      "oneoffs",
      "notify",
    ],
    "where decisions meet mechanism: the only part that knows all of them",
  ),
  row("http", ["core", "control"], "a face: schema and one service call, no decision"),
  row("gateway", ["core", "control"], "a face: forwards to databases of the key's owner"),
  row(
    "cli",
    ["core", "postgres", "storage", "stream", "repository", "keys", "restore"],
    "a face: its own HTTP client, or the repository directly when the platform is gone",
  ),
  row("config", ["core"], "the only reader of the environment"),
  row(
    "serve",
    [
      "core",
      "postgres",
      "storage",
      "stream",
      "policy",
      "repository",
      "capture",
      "restore",
      "keys",
      "notify",
      "instances",
      "oneoffs",
      "control",
      "http",
      "gateway",
      "config",
    ],
    "puts the real parts of a platform together, so it alone may know all of them",
  ),
  row("main", ["core", "config", "cli", "serve"], "starts what the command line says, with the real clock and streams"),
];
