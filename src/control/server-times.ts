import type { Client } from "pg";
import type { Moment } from "../capture/wal/commit-tracker.ts";
import { parseLsn } from "../core/lsn.ts";
import type { TimestampUs } from "../core/timestamp.ts";

/**
 * Reads a server's clock and then its flush position: every commit that was acknowledged before that time lies before that position. Both
 * in statements of their own, since one statement may evaluate them in any order. Holds one connection and makes a new one when it breaks.
 */
export class ServerTimes {
  readonly #connect: () => Client;
  #client: Client | undefined;

  constructor(connect: () => Client) {
    this.#connect = connect;
  }

  /** Undefined when the server doesn't answer now, or is in recovery: the receiver's own connection tells of such trouble. */
  async read(): Promise<Moment | undefined> {
    try {
      const client = (this.#client ??= await this.#open());
      const clock = await client.query<{ us: string }>(
        "select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as us",
      );
      const flushed = await client.query<{ lsn: string }>("select pg_current_wal_flush_lsn()::text as lsn");
      const [time] = clock.rows;
      const [position] = flushed.rows;
      if (time === undefined || position === undefined) return undefined;
      return { time: BigInt(time.us) as TimestampUs, lsn: parseLsn(position.lsn) }; // brand: microseconds since 1970
    } catch {
      await this.close();
      return undefined;
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    // Best effort: a broken connection is gone already.
    await client?.end().catch(() => undefined);
  }

  async #open(): Promise<Client> {
    const client = this.#connect();
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }
}
