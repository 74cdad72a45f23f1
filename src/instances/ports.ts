import { createServer } from "node:net";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The first port of the range that is neither given out nor in use on this address. The caller keeps it: a database's
 * port stays the same for life. `port_in_use` when none is left.
 */
export async function firstFreePort({
  range,
  bind,
  taken,
}: {
  readonly range: PortRange;
  readonly bind: string;
  /** Ports of the platform's other databases, running or not. */
  readonly taken: ReadonlySet<number>;
}): Promise<number> {
  for (let port = range.first; port <= range.last; port++) {
    if (!taken.has(port) && (await isPortFree({ bind, port }))) return port;
  }
  throw new TidemarkError("port_in_use", `Cannot find a free port from ${range.first} to ${range.last} on "${bind}"`, {
    hint: "Widen TIDEMARK_DATABASE_PORTS, or remove databases that are no longer needed.",
  });
}

/**
 * Whether nobody listens on the address and port. `*` means every address, as in PostgreSQL. `config_invalid` for an
 * address that isn't this machine's.
 */
export async function isPortFree({ bind, port }: { readonly bind: string; readonly port: number }): Promise<boolean> {
  const probe = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  probe.once("error", (error) => {
    // EACCES: a port below 1024 that this user may not take, so not free for us.
    const refused = ["EADDRINUSE", "EACCES"].includes(systemErrorCode(error) ?? "");
    if (refused) resolve(false);
    else reject(noSuchAddress(bind, error));
  });
  probe.listen({ port, ...(bind === "*" ? {} : { host: bind }), exclusive: true }, () =>
    probe.close(() => resolve(true)),
  );
  return promise;
}

function noSuchAddress(bind: string, cause: unknown): TidemarkError {
  return new TidemarkError("config_invalid", `Cannot listen on "${bind}": this machine has no such address`, {
    cause,
    hint: "Set TIDEMARK_DATABASE_BIND to an address of this machine, or to *.",
  });
}
