import { DatabaseError } from "pg";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import { isUnavailable } from "../postgres/connection.ts";

/**
 * A failure to reach the control database as `control_unavailable`, which is transient; anything else unchanged.
 */
export function controlFailure(thrown: unknown): unknown {
  if (thrown instanceof TidemarkError || !isUnavailable(thrown)) return thrown;
  return new TidemarkError("control_unavailable", "The control database can't be reached now", {
    hint: "It is started again by itself; try again in a few seconds.",
    cause: thrown,
  });
}

/** Classes of SQLSTATE by which a server refuses its use: no such login or password, no such database, a right that lacks. */
const REFUSED_CLASSES = ["28", "3D", "42501"];
const UNREACHABLE_SYSTEM_CODES = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
]);

/**
 * The failure of a first use of the operator's own PostgreSQL: `config_invalid` when it refuses, `control_unavailable` when it isn't there; anything
 * else as `controlFailure`. The URI, which holds a password, is in neither.
 */
export function operatorsDatabaseFailure(thrown: unknown): unknown {
  const met = thrown instanceof TidemarkError ? thrown.cause : thrown;
  if (met instanceof DatabaseError && REFUSED_CLASSES.some((each) => met.code?.startsWith(each) === true)) {
    return new TidemarkError(
      "config_invalid",
      `The PostgreSQL of TIDEMARK_DATABASE_URL refuses its use: ${met.message}`,
      {
        hint: "The URI names a login with its password, and a database that this login owns; see docs/operating/configuration.md.",
        cause: thrown,
      },
    );
  }
  const code = systemErrorCode(met);
  if (code === undefined || !UNREACHABLE_SYSTEM_CODES.has(code)) return controlFailure(thrown);
  return new TidemarkError("control_unavailable", `The PostgreSQL of TIDEMARK_DATABASE_URL can't be reached: ${code}`, {
    hint: "Check that the server runs, and that this machine reaches the address and port in the URI.",
    cause: thrown,
  });
}

/** The same service, whose every rejection has passed `controlFailure`. */
export function guardService<T extends object>(service: T): T {
  return new Proxy(service, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args);
        if (!(result instanceof Promise)) return result;
        return result.catch((error: unknown) => {
          throw controlFailure(error);
        });
      };
    },
  });
}
