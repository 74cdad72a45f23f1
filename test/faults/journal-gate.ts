import { Client } from "pg";
import { type Platform, waitFor } from "../harness/platform.ts";
import { controlSuperuser } from "./backup-scene.ts";

/** Any number does: nobody else takes advisory locks in the control database. */
const GATE_LOCK = 20_261_122;

/**
 * Stops whoever is about to note a step in the journal of restores: a trigger that waits for a lock which this test holds. So a process can be killed at exactly
 * that step, however short it is.
 */
export class JournalGate {
  readonly #platform: Platform;
  readonly #client: Client;

  private constructor(platform: Platform, client: Client) {
    this.#platform = platform;
    this.#client = client;
  }

  /** @param phase the step that nobody gets past */
  static async close(platform: Platform, phase: string): Promise<JournalGate> {
    const client = await connect(platform);
    await client.query("select pg_advisory_lock($1)", [GATE_LOCK]);
    await client.query(
      `create or replace function wait_at_gate() returns trigger language plpgsql as
       $$begin perform pg_advisory_xact_lock(${GATE_LOCK}); return new; end$$`,
    );
    await client.query("drop trigger if exists gate on point_in_time_operations");
    await client.query(
      `create trigger gate before update on point_in_time_operations for each row
       when (new.phase is distinct from old.phase and new.phase = '${phase}') execute function wait_at_gate()`,
    );
    return new JournalGate(platform, client);
  }

  /** Until somebody stands before the gate. @param stillComing throws when nobody will come any more */
  async met(stillComing: () => Promise<void>): Promise<void> {
    await waitFor(async () => {
      if ((await this.#waiting()).length > 0) return true;
      await stillComing();
      return false;
    }, "somebody at the gate");
  }

  /** Ends whoever waits at the gate, so that the step is not noted after its author's death. */
  async forget(): Promise<void> {
    for (const pid of await this.#waiting()) await this.#client.query("select pg_terminate_backend($1)", [pid]);
    await waitFor(async () => (await this.#waiting()).length === 0, "nobody at the gate");
  }

  /** Takes the gate away; also when the control database's server was killed meanwhile. */
  async remove(): Promise<void> {
    await this.#client.end().catch(() => undefined);
    const client = await connect(this.#platform);
    await client.query("drop trigger gate on point_in_time_operations");
    await client.end();
  }

  async #waiting(): Promise<number[]> {
    const { rows } = await this.#client.query<{ pid: number }>(
      "select pid from pg_locks where locktype = 'advisory' and objid = $1 and not granted",
      [GATE_LOCK],
    );
    return rows.map(({ pid }) => pid);
  }
}

async function connect(platform: Platform): Promise<Client> {
  const client = new Client(await controlSuperuser(platform));
  // Its server may be killed by the test.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}
