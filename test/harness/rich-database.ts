import type { PostgresServer } from "./postgres-server.ts";

/** Two schemas, an extension, many types, identity and foreign keys, a partitioned table, a view, a sequence of its own and large objects. */
const RICH_SQL = `
CREATE EXTENSION hstore;
CREATE SCHEMA shop;
CREATE SCHEMA "Odd Names";
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE TYPE shop.address AS (street text, city text);
CREATE TABLE shop.types (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  small smallint, big bigint, number numeric(40,20), real4 real, real8 double precision, money money,
  flag boolean, letters char(5), word varchar(20), body text, bytes bytea,
  day date, clock time, clock_tz timetz, at timestamp, at_tz timestamptz, span interval,
  ip inet, net cidr, mac macaddr, bits bit(8), varbits varbit, id128 uuid, doc json, docb jsonb, page xml,
  point point, box box, path path, circle circle, ints int[], texts text[][], range tstzrange, multi int4multirange,
  tsv tsvector, query tsquery, lsn pg_lsn, mood shop.mood, positive shop.positive, address shop.address, pairs hstore,
  doubled bigint GENERATED ALWAYS AS (big * 2) STORED);
INSERT INTO shop.types (small, big, number, real4, real8, money, flag, letters, word, body, bytes, day, clock, clock_tz, at, at_tz, span, ip, net,
  mac, bits, varbits, id128, doc, docb, page, point, box, path, circle, ints, texts, range, multi, tsv, query, lsn, mood, positive, address, pairs)
SELECT n, n * 10000000000, n / 7.0, n / 3.0, 'NaN', n, n % 2 = 0, 'ab', 'wörd', E'line\\nback\\\\slash\\ttab \\u2764', decode(lpad(to_hex(n), 4, '0'), 'hex'),
  date '2000-01-01' + n, '12:34:56.789', '12:34:56+02', '-infinity', timestamptz '1999-12-31 23:59:59.999999+00' + n * interval '1 day',
  '1 year 2 days', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101010', B'101', md5(n::text)::uuid, '{"a": [1,  2]}', '{"b": {"c": null}}',
  '<a>b</a>', '(1,2)', '((0,0),(1,1))', '[(0,0),(1,1)]', '<(0,0),1>', ARRAY[1, NULL, n], ARRAY[['a"', 'b'], ['{', 'NULL']],
  '[2020-01-01,2021-01-01)', '{[1,3),[7,9)}', to_tsvector('english', 'quick brown foxes'), 'quick & brown', '16/B374D848', 'happy', 1 + n, '("s, t",c)',
  'k=>"v w"'
FROM generate_series(1, 500) AS n;
INSERT INTO shop.types DEFAULT VALUES;
CREATE TABLE shop.orders (id bigserial PRIMARY KEY, type_id int REFERENCES shop.types, at timestamptz NOT NULL);
INSERT INTO shop.orders (type_id, at) SELECT 1 + n % 500, timestamptz '2024-01-01' + n * interval '1 minute' FROM generate_series(1, 20000) AS n;
CREATE TABLE "Odd Names"."Täble; DROP" ("Col""umn" text, "select" int) PARTITION BY RANGE ("select");
CREATE TABLE "Odd Names".low PARTITION OF "Odd Names"."Täble; DROP" FOR VALUES FROM (0) TO (50);
CREATE TABLE "Odd Names".high PARTITION OF "Odd Names"."Täble; DROP" FOR VALUES FROM (50) TO (100);
INSERT INTO "Odd Names"."Täble; DROP" SELECT repeat('x', n), n FROM generate_series(0, 99) AS n;
CREATE TABLE public.empty ();
CREATE SEQUENCE public.counter START 42 INCREMENT -3 MINVALUE -1000 MAXVALUE 1000;
SELECT nextval('counter'), nextval('counter');
CREATE INDEX ON shop.orders (at);
CREATE VIEW shop.latest AS SELECT * FROM shop.orders ORDER BY at DESC LIMIT 10;
CREATE MATERIALIZED VIEW shop.daily AS SELECT at::date AS day, count(*) FROM shop.orders GROUP BY 1;
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
SELECT lo_from_bytea(7001, decode(repeat('00ff10', 100000), 'hex')), lo_from_bytea(7002, '');`;

/** Fills an empty database with all that a restore has to bring back. */
export async function fillRichDatabase(server: PostgresServer, database: string): Promise<void> {
  await server.query(RICH_SQL, undefined, { database });
}

/** What a database holds, by name: checksum and count of every table's rows, state of every sequence, checksum of every large object. */
export async function describeDatabase(server: PostgresServer, database: string): Promise<Record<string, string>> {
  const where = { database };
  const contents: Record<string, string> = {};
  const relations = await server.query<{ name: string; kind: string }>(
    `SELECT c.oid::regclass::text AS name, relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'm', 'v', 'S') AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg_toast%' ORDER BY 1`,
    [],
    where,
  );
  for (const { name, kind } of relations) {
    const question =
      kind === "S"
        ? `SELECT last_value || ' ' || is_called AS state FROM ${name}`
        : `SELECT count(*) || ' rows ' || md5(coalesce(string_agg(r::text, E'\\n' ORDER BY r::text), '')) AS state FROM ${name} AS r`;
    contents[name] = String((await server.query<{ state: string }>(question, [], where))[0]?.state);
  }
  const objects = await server.query<{ oid: string; sum: string }>(
    `SELECT oid::text, length(lo_get(oid)) || ' ' || md5(lo_get(oid)) AS sum FROM pg_largeobject_metadata ORDER BY oid`,
    [],
    where,
  );
  for (const { oid, sum } of objects) contents[`large object ${oid}`] = sum;
  return contents;
}
