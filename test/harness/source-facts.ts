import { type Node, parseSync, type Span, Visitor } from "oxc-parser";

export interface ImportFact {
  readonly specifier: string;
  readonly line: number;
}

export interface FunctionFact {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
}

/** A use of something that only certain files may touch. */
export interface UseFact {
  readonly what: string;
  readonly line: number;
}

export interface SourceFacts {
  /** Every way to name another module: import, export from, `import()`, `import("x").Type`; for types and for values. */
  readonly imports: readonly ImportFact[];
  /** Functions, methods and arrows; the callback of a `describe` is a chapter, not a function, and is left out. */
  readonly functions: readonly FunctionFact[];
  /** `process.env`, `Date.now()`, `new Date()` without arguments, `Math.random()`, `Temporal.Now.instant()`, `console`, top-level `let`. */
  readonly uses: readonly UseFact[];
}

/** Members of globals that `uses` reports. The machine's time zone (`Temporal.Now.timeZoneId`) is no time. */
const WATCHED_MEMBERS = new Set([
  "process.env",
  "process.argv",
  "process.exit",
  "process.exitCode",
  "process.stdin",
  "process.stdout",
  "process.stderr",
  "Date.now",
  "Math.random",
  "Temporal.Now.instant",
  "Temporal.Now.plainDateISO",
  "Temporal.Now.plainDateTimeISO",
  "Temporal.Now.plainTimeISO",
  "Temporal.Now.zonedDateTimeISO",
]);

/** Parses one TypeScript file. Throws when it doesn't parse. */
export function readFacts(path: string, text: string): SourceFacts {
  const { program, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`Cannot parse "${path}": ${error.message}`);
  const lineAt = lineFinder(text);
  const imports: ImportFact[] = [];
  const functions: FunctionFact[] = [];
  const uses: UseFact[] = [];
  const addImport = (source: Node | null): void => {
    if (source?.type === "Literal" && typeof source.value === "string")
      imports.push({ specifier: source.value, line: lineAt(source.start) });
  };
  const chapters = new Set<number>();
  const addFunction = (node: Span & { id?: { name: string } | null }): void => {
    if (chapters.has(node.start)) return;
    const line = lineAt(node.start);
    functions.push({ name: node.id?.name ?? "(anonymous)", line, lineCount: lineAt(node.end) - line + 1 });
  };
  for (const statement of program.body)
    if (statement.type === "VariableDeclaration" && statement.kind !== "const")
      uses.push({ what: "top-level let", line: lineAt(statement.start) });
  new Visitor({
    ImportDeclaration: (node) => addImport(node.source),
    ExportNamedDeclaration: (node) => addImport(node.source),
    ExportAllDeclaration: (node) => addImport(node.source),
    ImportExpression: (node) => addImport(node.source),
    TSImportType: (node) => addImport(node.source),
    FunctionDeclaration: addFunction,
    FunctionExpression: addFunction,
    ArrowFunctionExpression: addFunction,
    CallExpression(node) {
      if (node.callee.type !== "Identifier" || !["describe", "suite"].includes(node.callee.name)) return;
      for (const argument of node.arguments) chapters.add(argument.start);
    },
    NewExpression(node) {
      if (node.callee.type === "Identifier" && node.callee.name === "Date" && node.arguments.length === 0)
        uses.push({ what: "new Date()", line: lineAt(node.start) });
    },
    MemberExpression(node) {
      const what = dottedName(node);
      if (what?.startsWith("console.") === true) uses.push({ what: "console", line: lineAt(node.start) });
      else if (what !== undefined && WATCHED_MEMBERS.has(what)) uses.push({ what, line: lineAt(node.start) });
    },
  }).visit(program);
  return { imports, functions, uses };
}

/** `a.b.c` for an expression that is just that. */
function dottedName(node: Node): string | undefined {
  if (node.type === "Identifier") return node.name;
  if (node.type !== "MemberExpression" || node.property.type !== "Identifier") return undefined;
  const object = dottedName(node.object);
  return object === undefined ? undefined : `${object}.${node.property.name}`;
}

/** Line number, from 1, of a character offset. */
function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let line = 0;
    for (const start of starts) {
      if (start > offset) break;
      line++;
    }
    return line;
  };
}
