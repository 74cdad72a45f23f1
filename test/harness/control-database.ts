import { migrateControlDatabase, openControlDatabase, type ControlDatabase } from "../../src/control/database.ts";
import { quietLogger } from "./quiet-logger.ts";
import { type PostgresServer } from "./postgres-server.ts";

let made = 0;

/** A new, migrated control database on a test's server; closed with `close()`. */
export async function makeControlDatabase(server: PostgresServer): Promise<ControlDatabase> {
  const name = `control_${++made}`;
  await server.query(`create database ${name}`);
  const database = openControlDatabase(
    { host: server.folder, port: server.port, user: "postgres", database: name },
    quietLogger,
  );
  await migrateControlDatabase(database);
  return database;
}
