import { Client } from "pg";
import { type CleanUp } from "./temp-folder.ts";
import { isRecord, type Platform, startPlatform, waitFor } from "./platform.ts";

/** A recovery, fetched and replayed on a crowded machine. */
const OPERATION_DEADLINE_MS = 300_000;

/** One branch, as the recovery window lists it. */
export interface ShownBranch {
  readonly timeline: number | null;
  readonly isLive: boolean;
  readonly earliest: string | null;
  readonly latest: string | null;
}

/** A platform with one database, whose ledger tells which moments it holds. */
export class InPlaceScene {
  readonly platform: Platform;
  readonly addonId: string;
  readonly #uri: string;
  #written = 0;

  private constructor(platform: Platform, database: { addonId: string; uri: string }) {
    this.platform = platform;
    this.addonId = database.addonId;
    this.#uri = database.uri.replace("sslmode=prefer", "sslmode=disable");
  }

  /** With a first base backup and an empty ledger. */
  static async open(cleanUp: CleanUp, environment: Readonly<Record<string, string>> = {}): Promise<InPlaceScene> {
    const platform = await startPlatform(cleanUp, { environment });
    const scene = new InPlaceScene(platform, await platform.provision("shop"));
    await scene.query("create table ledger (id int primary key)");
    await waitFor(async () => (await scene.window()).latest !== null, "a recovery window");
    return scene;
  }

  /** A session of the owner's; its caller ends it. */
  async connect(): Promise<Client> {
    const client = new Client({ connectionString: this.#uri });
    // A swap cuts it.
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** As the owner, by the address and the password that the app's variable has. */
  async query(text: string): Promise<Record<string, unknown>[]> {
    const client = await this.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Commits the next entry; the server's time between it and whatever comes next. */
  async write(): Promise<string> {
    this.#written += 1;
    await this.query(`insert into ledger values (${this.#written})`);
    const [row] = await this.query(
      `select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
    );
    return String(row?.["at"]);
  }

  /** The entries that the database has now, in order. */
  async ledger(): Promise<string> {
    const [row] = await this.query("select string_agg(id::text, ',' order by id) as ids from ledger");
    return textOf(row?.["ids"]) ?? "";
  }

  async window(): Promise<{
    latest: string | null;
    branches: readonly ShownBranch[];
    baseBackups: number;
    state: string;
  }> {
    const { body } = await this.platform.api("GET", `/api/databases/${this.addonId}/pitr/recovery_window`);
    const window = isRecord(body) && isRecord(body["recovery_window"]) ? body["recovery_window"] : {};
    const stream = isRecord(window["stream"]) ? window["stream"] : {};
    const branches: unknown = window["branches"];
    return {
      latest: textOf(window["latest_recoverable_at"]),
      baseBackups: Number(window["base_backups"]),
      state: String(stream["state"]),
      branches: (Array.isArray(branches) ? branches : []).filter(isRecord).map((branch) => ({
        timeline: typeof branch["timeline"] === "number" ? branch["timeline"] : null,
        isLive: branch["is_live"] === true,
        earliest: textOf(branch["earliest_recoverable_at"]),
        latest: textOf(branch["latest_recoverable_at"]),
      })),
    };
  }

  /** Until a moment of the live branch can be restored. */
  async stored(moment: string): Promise<void> {
    await waitFor(
      async () => ((await this.window()).latest ?? "") > moment && (await this.window()).state === "streaming",
      `a recovery window past ${moment}`,
      OPERATION_DEADLINE_MS,
    );
  }

  /** Begins a restore, or an undoing, and answers its id. */
  async begin(what: "restore" | "undo", body: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const path = `/api/databases/${this.addonId}/pitr/${what}`;
    const reply = await this.platform.api("POST", path, { body });
    if (reply.status !== 201 || !isRecord(reply.body)) throw new Error(`Refused: ${JSON.stringify(reply.body)}`);
    return String(reply.body["operation_id"]);
  }

  async operation(id: string): Promise<Record<string, unknown>> {
    const { body } = await this.platform.api("GET", `/api/databases/${this.addonId}/operations/${id}`);
    return isRecord(body) && isRecord(body["operation"]) ? body["operation"] : {};
  }

  /** The operation once it has ended, well or not. A platform that is away for a moment is asked again. */
  async ended(id: string): Promise<Record<string, unknown>> {
    let last: Record<string, unknown> = {};
    await waitFor(
      async () => {
        last = await this.operation(id).catch(() => ({}));
        return last["status"] === "done" || last["status"] === "error";
      },
      `the end of operation ${id}`,
      OPERATION_DEADLINE_MS,
    );
    return last;
  }

  /** A restore from its beginning to its end, which must be a good one. */
  async restore(body: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    return await this.#done("restore", body);
  }

  async undo(): Promise<Record<string, unknown>> {
    return await this.#done("undo", {});
  }

  async #done(what: "restore" | "undo", body: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const operation = await this.ended(await this.begin(what, body));
    if (operation["status"] !== "done") throw new Error(`It failed: ${JSON.stringify(operation)}`);
    return operation;
  }
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
