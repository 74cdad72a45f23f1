/**
 * Writes dashboard/generated/api.ts, the dashboard's only source of API types, from docs/reference/openapi.json. The build runs it; the result is not kept
 * in the repository, so it is never behind the API.
 *
 *   node dashboard/scripts/generate-types.ts
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const TOP = join(import.meta.dirname, "../..");
const DOCUMENT = join(TOP, "docs/reference/openapi.json");
const TARGET = join(TOP, "dashboard/generated/api.ts");

/** The part of JSON Schema that the API's document uses. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly (string | number | boolean | null)[];
  readonly const?: string | number | boolean | null;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** TypeScript for `document`: a type for each schema, one for each operation's input and reply, and a table of methods and paths. */
export function dashboardTypes(document: ApiDocument): string {
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) => `export type ${name} = ${typeOf(schema)};`,
  );
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  return [
    "// Written by dashboard/scripts/generate-types.ts from docs/reference/openapi.json.",
    ...schemas,
    "export interface Operations {",
    ...operations.map(({ operation }) => `  ${operation.operationId}: ${operationType(operation)};`),
    "}",
    "export const OPERATIONS: { readonly [Id in keyof Operations]: { readonly method: string; readonly path: string } } = {",
    ...operations.map(
      ({ path, method, operation }) =>
        `  ${operation.operationId}: { method: ${JSON.stringify(method)}, path: ${JSON.stringify(path)} },`,
    ),
    "};",
    "",
  ].join("\n");
}

function operationType(operation: Operation): string {
  const parameters = (place: string): string => {
    const found = (operation.parameters ?? []).filter((parameter) => parameter.in === place);
    const members = found.map(
      ({ name, required, schema }) => `${JSON.stringify(name)}${required === true ? "" : "?"}: ${typeOf(schema ?? {})}`,
    );
    return members.length === 0 ? "Record<never, never>" : `{ ${members.join("; ")} }`;
  };
  const body = jsonSchema(operation.requestBody);
  const [, success] = Object.entries(operation.responses).find(([status]) => status.startsWith("2")) ?? [];
  const reply = jsonSchema(success);
  return [
    `{ path: ${parameters("path")}`,
    `query: ${parameters("query")}`,
    `body: ${body === undefined ? "undefined" : typeOf(body)}`,
    `reply: ${reply === undefined ? "null" : typeOf(reply)} }`,
  ].join("; ");
}

function jsonSchema(place: Content | undefined): Schema | undefined {
  return place?.content?.["application/json"]?.schema;
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "unknown";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.allOf !== undefined) return joined(schema.allOf, " & ");
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) return joined(alternatives, " | ");
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  return types.length === 0 ? "unknown" : types.map((type) => plainType(type, schema)).join(" | ");
}

function joined(schemas: readonly Schema[], sign: string): string {
  return `(${schemas.map((each) => typeOf(each)).join(sign)})`;
}

function plainType(type: string, schema: Schema): string {
  if (type === "integer" || type === "number") return "number";
  if (type === "array") return `(${typeOf(schema.items ?? {})})[]`;
  return type === "object" ? objectType(schema) : type;
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const members = Object.entries(properties).map(
    ([name, schema]) => `${JSON.stringify(name)}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`,
  );
  if (members.length > 0) return `{ ${members.join("; ")} }`;
  return typeof additionalProperties === "object" ? `Record<string, ${typeOf(additionalProperties)}>` : "object";
}

/** Writes the file when its content changes. */
export function writeDashboardTypes(): void {
  // Our own file, which a test compares with the routes.
  const document = JSON.parse(readFileSync(DOCUMENT, "utf8")) as ApiDocument;
  mkdirSync(dirname(TARGET), { recursive: true });
  writeFileSync(TARGET, dashboardTypes(document));
}

if (import.meta.main) writeDashboardTypes();
