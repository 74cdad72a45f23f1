import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { program, serverUser, type PostgresServer } from "../test/harness/postgres-server.ts";

/** Rows are made in pieces of about this size, so that making them costs little beside loading them. */
const PIECE_ROWS = 2_000;
const MB = 1_000_000;
const WORDS = 5_000;
/** What is made of a large database, in MB of COPY text: several times what any compressor remembers. */
const MADE_MB_MAX = 512;

type Row = (id: number) => string;

/**
 * Fills a database with about `sizeMb` MB of COPY text, as applications keep it: prose, numbers, timestamps, jsonb, uuids, flags, in three tables of
 * equal size and two indexes. Always the same bytes for the same size.
 */
export async function fillSampleDatabase(server: PostgresServer, sizeMb: number): Promise<void> {
  const random = pseudoRandom(42);
  for (const { columns, name, row } of tables(random)) {
    await server.query(`CREATE TABLE ${name} (${columns})`);
    await load(server, name, pieces(row, (sizeMb * MB) / 3));
  }
  await server.query("CREATE INDEX ON customers (email)");
  await server.query("CREATE INDEX ON events (at)");
  await server.query("CHECKPOINT");
}

/**
 * Fills a database until it has about `sizeMb` MB on disk. Only a part of the rows is made, the rest are copies of all of them, one after the other: far
 * faster, and no compressor looks back so far.
 */
export async function growSampleDatabase(server: PostgresServer, sizeMb: number): Promise<void> {
  await fillSampleDatabase(server, Math.min(sizeMb / 3, MADE_MB_MAX));
  const copies = Math.round((sizeMb * MB) / Number(await server.value("SELECT pg_database_size('postgres')"))) - 1;
  if (copies < 1) return;
  for (const { name } of tables(pseudoRandom(0)))
    await server.query(
      // Lateral, so that one copy of the whole table comes after the other, not one row so many times.
      `INSERT INTO ${name} SELECT made.* FROM generate_series(1, ${copies}) copy, LATERAL (SELECT * FROM ${name} WHERE copy > 0 OFFSET 0) made`,
    );
  await server.query("CHECKPOINT");
}

function tables(random: () => number): { name: string; columns: string; row: Row }[] {
  const words = vocabulary(random);
  // The cube prefers low numbers: some words are frequent, as in prose.
  const prose = (count: number): string =>
    Array.from({ length: count }, () => words[Math.floor(WORDS * random() ** 3)]).join(" ");
  const below = (limit: number): number => Math.floor(random() * limit);
  const hex = (digits: number): string =>
    below(16 ** digits)
      .toString(16)
      .padStart(digits, "0");
  const instant = (seconds: number): string =>
    new Date(seconds * 1000).toISOString().replace("T", " ").replace("Z", "+00");
  return [
    {
      name: "customers",
      columns:
        "id bigint, name text, email text, created_at timestamptz, balance numeric(12,2), blocked boolean, notes text",
      row: (id) =>
        `${id}\t${prose(2)}\t${words[below(WORDS)]}.${id}@example.org\t${instant(1.6e9 + id * 7)}\t${(random() * 1e5).toFixed(2)}\t${
          random() < 0.1 ? "t" : "f"
        }\t${prose(25)}\n`,
    },
    {
      name: "events",
      columns: "id bigint, event_id uuid, at timestamptz, body jsonb, message text",
      row: (id) =>
        `${id}\t${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}\t${instant(1.67e9 + id)}\t${JSON.stringify({
          type: ["login", "order", "view", "logout"][id % 4],
          customer: below(1e6),
          path: `/api/v1/${words[below(50)]}/${below(1e5)}`,
          durationMs: below(3000),
          agent: { name: words[below(20)], version: below(120) },
        })}\t${prose(12)}\n`,
    },
    {
      name: "measurements",
      columns: "id bigint, sensor int, at timestamp, temperature float8, humidity float8, raw int, state text",
      row: (id) =>
        `${id}\t${id % 400}\t${instant(1.7e9 + id / 4).slice(0, -3)}\t${20 + 5 * Math.sin(id / 5000) + random()}\t${random()}\t${below(
          65536,
        )}\t${["ok", "ok", "ok", "low battery"][below(4)]}\n`,
    },
  ];
}

function vocabulary(random: () => number): string[] {
  const syllables = [
    "ba",
    "con",
    "der",
    "el",
    "fi",
    "gra",
    "ho",
    "in",
    "ka",
    "lo",
    "men",
    "no",
    "per",
    "qui",
    "ra",
    "ta",
    "ver",
  ];
  return Array.from({ length: WORDS }, () =>
    Array.from({ length: 1 + Math.floor(random() * 4) }, () => syllables[Math.floor(random() * syllables.length)]).join(
      "",
    ),
  );
}

function* pieces(row: Row, sizeBytes: number): Generator<string> {
  let id = 0;
  for (let made = 0; made < sizeBytes;) {
    let piece = "";
    for (let count = 0; count < PIECE_ROWS; count++) piece += row(++id);
    made += piece.length;
    yield piece;
  }
}

/** `pg` has no COPY of its own; psql has. */
async function load(server: PostgresServer, table: string, rows: Iterable<string>): Promise<void> {
  const psql = spawn(
    program("psql"),
    ["--host", server.folder, "--port", String(server.port), "--username=postgres", "--dbname=postgres"].concat([
      "--no-psqlrc",
      "--quiet",
      `--command=COPY ${table} FROM STDIN`,
    ]),
    { stdio: ["pipe", "ignore", "inherit"], ...(await serverUser()) },
  );
  const exit = once(psql, "exit");
  await pipeline(Readable.from(rows), psql.stdin);
  const [code] = await exit;
  if (code !== 0) throw new Error(`psql could not load ${table}`);
}

/** Mulberry32: small, fast, the same on every machine. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
